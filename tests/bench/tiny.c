/* The smallest service, and the floor that GitProc is measured against.
 *
 *   tiny NAME FIFO        says "NAME PID NANOSECONDS" (CLOCK_MONOTONIC, first thing after exec), then sleeps
 *   tiny --keep N FIFO    a supervisor reduced to its system calls: fork and exec N such services, start
 *                         one again when it dies, end them all on SIGTERM
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void serve(const char *name, const char *fifo, long long nanoseconds)
{
    char text[256];
    int length = snprintf(text, sizeof text, "%s %d %lld\n", name, getpid(), nanoseconds);
    int fd = open(fifo, O_WRONLY | O_NONBLOCK);
    if (fd >= 0) {
        while (write(fd, text, length) < 0)
            usleep(100);
        close(fd);
    }
    for (;;)
        pause();
}

static char *self, *fifo;
static volatile sig_atomic_t ending;

static pid_t start(int number)
{
    pid_t pid = fork();
    if (pid == 0) {
        char name[32];
        snprintf(name, sizeof name, "u%05d", number);
        execl(self, self, name, fifo, (char *)0);
        _exit(203);
    }
    return pid;
}

static void on_term(int signal) { (void)signal; ending = 1; }

static int keep(int count)
{
    pid_t *pids = calloc(count, sizeof *pids), pid;
    struct sigaction action = {.sa_handler = on_term};
    sigaction(SIGTERM, &action, 0);
    for (int i = 0; i < count; i++)
        pids[i] = start(i);
    while (!ending) {
        if ((pid = wait(0)) < 0)
            continue;
        for (int i = 0; i < count; i++)
            if (pids[i] == pid)
                pids[i] = start(i);
    }
    for (int i = 0; i < count; i++)
        kill(pids[i], SIGTERM);
    while (wait(0) > 0)
        ;
    return 0;
}

int main(int argc, char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (argc == 4 && !strcmp(argv[1], "--keep")) {
        self = argv[0];
        fifo = argv[3];
        return keep(atoi(argv[2]));
    }
    if (argc == 3)
        serve(argv[1], argv[2], now.tv_sec * 1000000000LL + now.tv_nsec);
    return 2;
}
