/* A directory of users that is away as long as a file exists: a name service for tests. */
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

enum { REMOTE = 4711, FURTHER = 4712 };

static void wait_for_it(void)
{
    while (access(AWAY, F_OK) == 0)
        usleep(10000);
}

enum nss_status _nss_away_getpwnam_r(const char *name, struct passwd *found, char *room, size_t size, int *error)
{
    wait_for_it();
    if (strcmp(name, "remote") != 0)
        return NSS_STATUS_NOTFOUND;
    if (size < 16) {
        *error = ERANGE;
        return NSS_STATUS_TRYAGAIN;
    }
    strcpy(room, "remote");
    strcpy(room + 7, "/");
    found->pw_name = room;
    found->pw_passwd = found->pw_gecos = found->pw_shell = room + 8;
    found->pw_dir = room + 7;
    found->pw_uid = found->pw_gid = REMOTE;
    return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_away_getpwuid_r(uid_t uid, struct passwd *found, char *room, size_t size, int *error)
{
    wait_for_it();
    return NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_away_getgrnam_r(const char *name, struct group *found, char *room, size_t size, int *error)
{
    wait_for_it();
    if (strcmp(name, "further") != 0)
        return NSS_STATUS_NOTFOUND;
    if (size < 16 + sizeof(char *)) {
        *error = ERANGE;
        return NSS_STATUS_TRYAGAIN;
    }
    found->gr_mem = (char **)room;
    found->gr_mem[0] = NULL;
    strcpy(room + sizeof(char *), "further");
    found->gr_name = room + sizeof(char *);
    found->gr_passwd = found->gr_name + 7;
    found->gr_gid = FURTHER;
    return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_away_getgrgid_r(gid_t gid, struct group *found, char *room, size_t size, int *error)
{
    wait_for_it();
    return NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_away_initgroups_dyn(
    const char *user, gid_t group, long *count, long *room, gid_t **groups, long limit, int *error)
{
    wait_for_it();
    if (strcmp(user, "remote") != 0)
        return NSS_STATUS_NOTFOUND;
    if (*count < *room)
        (*groups)[(*count)++] = FURTHER;
    return NSS_STATUS_SUCCESS;
}
