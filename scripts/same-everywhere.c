/*
 * What nvcc runs with, so that it gives the same text on every machine. It orders some work by addresses and by hashes of
 * names, and what decides these is the folder that it runs in, its environment and a random number. Loaded before the C
 * library (scripts/nvcc.mjs does), this says that the folder is the one of the variable PLACE and that random bytes are
 * zeros; `env -i` and `setarch -R` see to the rest.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char *place(void) {
  const char *place = getenv("PLACE");
  return place ? place : "/";
}

int open(const char *path, int flags, int mode) {
  int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
  return next(path && strcmp(path, "/dev/urandom") == 0 ? "/dev/zero" : path, flags, mode);
}

char *getcwd(char *buffer, size_t size) {
  if (!buffer) return strdup(place());
  if (size > strlen(place())) return strcpy(buffer, place());
  errno = ERANGE;
  return NULL;
}

char *realpath(const char *path, char *resolved) {
  char *(*next)(const char *, char *) = (char *(*)(const char *, char *))dlsym(RTLD_NEXT, "realpath");
  char here[PATH_MAX], found[PATH_MAX];
  if (!next(path, found)) return NULL;
  const size_t length = next(".", here) ? strlen(here) : 0;
  const int is_within = length > 1 && strncmp(found, here, length) == 0 && found[length] == '/';
  const char *begin = is_within ? place() : "", *rest = is_within ? found + length : found;
  if (strlen(begin) + strlen(rest) >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return NULL;
  }
  if (!resolved) resolved = malloc(PATH_MAX);
  return resolved ? strcat(strcpy(resolved, begin), rest) : NULL;
}
