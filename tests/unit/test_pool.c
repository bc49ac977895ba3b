/* Large blocks take turns, whoever gives them back, and whenever the pool's owner leaves. */
#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "server/base/pool.h"
#include "tests/unit/run_suite.h"

#define LARGE (100u << 10)

static kt_pool *pool;

static void setup(void)
{
    ck_assert_int_eq(kt_pool_create(&pool), 0);
}

static void teardown(void)
{
    kt_pool_destroy(&pool);
    ck_assert_ptr_null(pool);
}

static void *take(size_t size)
{
    void *block = kt_pool_take(pool, size);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq((uintptr_t)block % _Alignof(max_align_t), 0);
    memset(block, 0xa5, size);          /* all of it is ours: sanitizers look */
    return block;
}

START_TEST(a_large_block_comes_again)
{
    void *first = take(LARGE);
    void *second = take(LARGE);
    ck_assert_ptr_ne(first, second);
    kt_pool_give(first);
    ck_assert_ptr_eq(take(LARGE + LARGE / 10), first);  /* the next key frame is a little larger */
    kt_pool_give(first);
    kt_pool_give(second);
    kt_pool_give(NULL);
}
END_TEST

START_TEST(of_those_that_fit_the_smallest_comes)
{
    void *sizes[] = { take(3 * LARGE), take(LARGE), take(2 * LARGE) };
    for (size_t i = 0; i < KT_ARRAY_SIZE(sizes); i++)
        kt_pool_give(sizes[i]);
    ck_assert_ptr_eq(take(3 * LARGE / 2), sizes[2]);
    ck_assert_ptr_eq(take(LARGE), sizes[1]);
    void *small = take(LARGE);          /* the one of 3 is not wasted on it */
    ck_assert_ptr_ne(small, sizes[0]);
    ck_assert_ptr_eq(take(2 * LARGE), sizes[0]);
    kt_pool_give(small);
    for (size_t i = 0; i < KT_ARRAY_SIZE(sizes); i++)
        kt_pool_give(sizes[i]);
}
END_TEST

START_TEST(no_more_than_a_few_are_kept_and_the_newest_of_them)
{
    void *block[2 * KT_POOL_KEPT];
    for (size_t i = 0; i < KT_ARRAY_SIZE(block); i++)
        block[i] = take(LARGE);
    for (size_t i = 0; i < KT_ARRAY_SIZE(block); i++)
        kt_pool_give(block[i]);
    for (size_t i = 0; i < KT_POOL_KEPT; i++) {
        void *again = take(LARGE);
        bool newer = false;
        for (size_t k = KT_POOL_KEPT; k < KT_ARRAY_SIZE(block); k++)
            newer |= again == block[k];
        ck_assert(newer);
        block[i] = again;
    }
    for (size_t i = 0; i < KT_POOL_KEPT; i++)
        kt_pool_give(block[i]);
}
END_TEST

START_TEST(blocks_outlive_the_pool_and_small_ones_need_none)
{
    void *large = take(LARGE), *small = take(100);
    kt_pool_destroy(&pool);
    memset(large, 1, LARGE);
    kt_pool_give(large);
    kt_pool_give(small);
    large = take(LARGE);                /* without a pool, as malloc() does it */
    kt_pool_give(large);
    ck_assert_ptr_null(kt_pool_take(NULL, SIZE_MAX));
    ck_assert_ptr_null(kt_pool_take(NULL, SIZE_MAX - 8));
}
END_TEST

static void *give_all(void *user)
{
    void **blocks = user;
    for (int i = 0; i < 16; i++)
        kt_pool_give(blocks[i]);
    return NULL;
}

START_TEST(blocks_are_given_back_on_other_threads)
{
    for (int round = 0; round < 50; round++) {
        pthread_t thread[4];
        void *blocks[4][16];
        for (int t = 0; t < 4; t++) {
            for (int i = 0; i < 16; i++)
                blocks[t][i] = take(LARGE + 1000u * (unsigned)i);
            ck_assert_int_eq(pthread_create(&thread[t], NULL, give_all, blocks[t]), 0);
        }
        for (int t = 0; t < 4; t++)
            pthread_join(thread[t], NULL);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *t = tcase_create("pool");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_large_block_comes_again);
    tcase_add_test(t, of_those_that_fit_the_smallest_comes);
    tcase_add_test(t, no_more_than_a_few_are_kept_and_the_newest_of_them);
    tcase_add_test(t, blocks_outlive_the_pool_and_small_ones_need_none);
    tcase_add_test(t, blocks_are_given_back_on_other_threads);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}
