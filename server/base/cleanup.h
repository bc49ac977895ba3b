/*
 * cleanup.h - scope-bound ownership.
 *
 * Destructors in this project take `T **`, accept NULL and half-built objects
 * and clear the pointer, so each is a ready argument of kt_cleanup().
 */
#ifndef KT_BASE_CLEANUP_H
#define KT_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define kt_must_check __attribute__((warn_unused_result))
#define kt_printf(f, a) __attribute__((format(printf, f, a)))
#define kt_cleanup(fn) __attribute__((cleanup(fn)))

/* Take the pointer out of *PP and leave NULL: "ownership moves here". */
#define kt_steal_ptr(pp) __extension__ ({ __typeof__(pp) pp_ = (pp); \
    __typeof__(*pp_) p_ = *pp_; *pp_ = NULL; p_; })

#define KT_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* kt_cleanup(kt_freep) char *s: free(3) at the end of the scope. */
static inline void kt_freep(void *pp)
{
    void **p = pp;
    free(*p);
    *p = NULL;
}

static inline void kt_closep(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static inline void kt_fclosep(FILE **f)
{
    if (*f)
        (void)fclose(*f);
    *f = NULL;
}

#endif
