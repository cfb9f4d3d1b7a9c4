// Threads that share out pieces of work. Nobody waits for a thread that has not begun: where another program holds a
// core, those that run do its pieces too. Between two jobs a thread looks out for the next one for some microseconds,
// then it sleeps.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <pthread.h>
#include <thread>

#include "vec.hpp"

namespace kernels {

class Team {
  public:
    // The team of this process, which is never taken down; a forked child, which has none of its threads, has its own.
    static Team& of_process() {
        static const bool once = [] {
            current() = new Team;
            pthread_atfork(nullptr, nullptr, [] { current() = new Team; });
            return true;
        }();
        (void)once;
        return *current();
    }

    // Calls work(piece, slot) for each piece; slots, below `threads`, tell those apart that work at the same time.
    template <class Work>
    void share(int64_t threads, int64_t pieces, const Work& work) {
        const FlushTiny guard;
        std::unique_lock<std::mutex> only(callers, std::defer_lock);
        if (threads < 2 || pieces < 2 || !only.try_lock()) {  // of two callers at once one goes alone
            for (int64_t piece = 0; piece < pieces; piece++) work(piece, 0);
            return;
        }
        Job job{[](const void* of, int64_t piece, int64_t slot) { (*static_cast<const Work*>(of))(piece, slot); },
                &work, pieces};
        open(job, std::min(threads, pieces) - 1);
        job.run(0);
        close();
    }

  private:
    struct Job {
        void (*call)(const void*, int64_t, int64_t);
        const void* work;
        const int64_t pieces;
        std::atomic<int64_t> next{0};

        void run(int64_t slot) {
            for (int64_t piece; (piece = next.fetch_add(1)) < pieces;) call(work, piece, slot);
        }
    };

    std::mutex callers, state;  // `state` guards all that follows
    std::condition_variable wake, idle;
    Job* job = nullptr;
    int64_t helpers = 0, wanted = 0, slot = 0, inside = 0;
    std::atomic<int64_t> opened{0};  // jobs so far, for those who look out

    static Team*& current() {
        static Team* team = nullptr;
        return team;
    }

    void open(Job& next_job, int64_t helpers_wanted) {
        {
            const std::lock_guard<std::mutex> lock(state);
            for (; helpers < helpers_wanted; helpers++) std::thread([this] { help(); }).detach();
            job = &next_job;
            wanted = helpers_wanted;
            slot = 1;
        }
        opened++;
        wake.notify_all();
    }

    // Nobody comes in any more; wait for those who are at a piece.
    void close() {
        std::unique_lock<std::mutex> lock(state);
        job = nullptr;
        idle.wait(lock, [this] { return inside == 0; });
    }

    void help() {
        const FlushTiny guard;
        std::unique_lock<std::mutex> lock(state);
        while (true) {
            wake.wait(lock, [this] { return job && slot <= wanted; });
            Job& mine = *job;
            const int64_t number = slot++, seen = opened;
            inside++;
            lock.unlock();
            mine.run(number);
            lock.lock();
            if (--inside == 0) idle.notify_one();
            lock.unlock();
            for (int look = 0; look < 2000 && opened == seen; look++) pause();
            lock.lock();
        }
    }

    static void pause() {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
};

// Calls work(piece, slot) for each piece, on so many threads.
template <class Work>
void share(int64_t threads, int64_t pieces, const Work& work) {
    Team::of_process().share(threads, pieces, work);
}

}  // namespace kernels
