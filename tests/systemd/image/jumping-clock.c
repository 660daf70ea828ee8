/* Preloaded, it adds the seconds in the file /run/jump to the time of day, as if somebody had set the clock: all machines
 * of a bench share the kernel's. Whatever it has added while somebody asked is the end of a file's name below /var/log. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long seconds(void) {
    char text[32] = "", seen[64];
    int file = open("/run/jump", O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, text, sizeof text - 1) <= 0)
        return 0;
    close(file);
    snprintf(seen, sizeof seen, "/var/log/clock-ahead-%ld", atol(text));
    close(open(seen, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME)
        now->tv_sec += seconds();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (at)
        *at = precise.tv_sec;
    return precise.tv_sec;
}
