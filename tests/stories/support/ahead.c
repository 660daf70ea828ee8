/* Preloaded into one process: its clock that only counts on is ahead by the seconds that the link /run/ahead names, as if these had passed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*of_libc)(clockid_t, struct timespec *);
    char seconds[32];
    if (!of_libc)
        of_libc = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = of_libc(clock, now);
    if (result == 0 && clock == CLOCK_MONOTONIC) {
        ssize_t length = readlink("/run/ahead", seconds, sizeof seconds - 1);
        if (length > 0) {
            seconds[length] = 0;
            now->tv_sec += atol(seconds);
        }
    }
    return result;
}
