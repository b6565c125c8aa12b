/* Work on a file that may be hostile, in a child process with limits: whatever it makes a library
 * do, this process goes on and says that the file is bad. Depends on status. */
#ifndef MBT_LIMITED_H
#define MBT_LIMITED_H

#include "mbt/status.h"

enum { MBT_LIMITED_ANSWER = 512 };

/* What the child does; `answer` is a text for the parent, empty at first. It must not print. */
typedef mbt_status mbt_limited_work(void *context, char answer[MBT_LIMITED_ANSWER], mbt_error *err);

/* Runs work on the file `path` in a child that can write no file, start no process (unless root),
 * and has bounded memory (LIMITED_MEMORY and eight times the file beyond what this process has) and
 * processor time. Returns its status, error and answer. MBT_DATA with "<path>: bad file: ..." when
 * the child crashed or was ended by a limit; MBT_FAILURE when there can be no child. Within such a
 * child the work is done at once: the limits hold already. */
mbt_status mbt_limited_run(const char *path, mbt_limited_work *work, void *context,
                           char answer[MBT_LIMITED_ANSWER], mbt_error *err) MBT_WARN_UNUSED;

#endif
