#include <string.h>

#include "decoders/motion/components.h"

#include "tests/unit/run_suite.h"

#define W 12
#define H 5

/* '#' is foreground. */
static void draw(uint8_t mask[W * H], const char *const rows[H])
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            mask[y * W + x] = rows[y][x] == '#' ? 255 : 0;
}

static int find(uint8_t mask[W * H], int min_area, struct kt_blob *blob)
{
    kt_components *c = NULL;
    ck_assert_int_eq(kt_components_create(&c, W, H), 0);
    const int n = kt_components_find(c, mask, min_area, blob);
    kt_components_destroy(&c);
    return n;
}

START_TEST(corners_touching_join_and_gaps_part)
{
    static const char *const rows[H] = {
        "##........#.",
        "..##.....#..",
        "....##..#...",
        "............",
        "###.........",
    };
    uint8_t mask[W * H];
    struct kt_blob blob[KT_BLOBS_MAX];
    draw(mask, rows);
    ck_assert_int_eq(find(mask, 1, blob), 3);
    ck_assert_int_eq(blob[0].area, 6);
    ck_assert(blob[0].x0 == 0 && blob[0].x1 == 5 && blob[0].y0 == 0 && blob[0].y1 == 2);
    ck_assert_int_eq(blob[1].area, 3);
    ck_assert_int_eq(blob[2].area, 3);
}
END_TEST

START_TEST(a_u_is_one_component_although_its_arms_meet_late)
{
    static const char *const rows[H] = {
        "#..#..#....#",
        "#..#..#....#",
        "#..#..#....#",
        "#..#..#....#",
        "####..######",
    };
    uint8_t mask[W * H];
    struct kt_blob blob[KT_BLOBS_MAX];
    draw(mask, rows);
    ck_assert_int_eq(find(mask, 1, blob), 2);
    ck_assert_int_eq(blob[0].area, 14);
    ck_assert_int_eq(blob[1].area, 12);
}
END_TEST

START_TEST(small_components_are_dropped_and_erased)
{
    static const char *const rows[H] = {
        "#...........",
        "....####....",
        "....####....",
        "...........#",
        "##..........",
    };
    uint8_t mask[W * H];
    struct kt_blob blob[KT_BLOBS_MAX];
    draw(mask, rows);
    ck_assert_int_eq(find(mask, 3, blob), 1);
    ck_assert_int_eq(blob[0].area, 8);
    ck_assert_int_eq(blob[0].sum_x, 4 * (4 + 5 + 6 + 7) / 2);
    ck_assert_int_eq(mask[0] | mask[3 * W + 11] | mask[4 * W], 0);
    ck_assert_int_eq(mask[W + 4], 255);
}
END_TEST

START_TEST(one_component_can_be_erased)
{
    static const char *const rows[H] = {
        "###.....####",
        "#.#.....#..#",
        "#.#.....#..#",
        "#.#.....#..#",
        "###.....####",
    };
    uint8_t mask[W * H];
    struct kt_blob blob[KT_BLOBS_MAX];
    kt_components *c = NULL;
    draw(mask, rows);
    ck_assert_int_eq(kt_components_create(&c, W, H), 0);
    ck_assert_int_eq(kt_components_find(c, mask, 1, blob), 2);
    ck_assert_int_eq(blob[0].x0, 8);
    const int16_t value[] = { 0, -1 };
    kt_components_paint(c, mask, blob, value, 2);
    ck_assert_int_eq(kt_components_find(c, mask, 1, blob), 1);
    ck_assert_int_eq(blob[0].x0, 0);
    kt_components_destroy(&c);
}
END_TEST

START_TEST(holes_are_filled_but_bays_and_the_edge_are_not)
{
    static const char *const rows[H] = {
        "####.....###",
        "#..#.###.#.#",
        "#.##.#.#.#.#",
        "####.##..#.#",
        "............",
    };
    uint8_t mask[W * H];
    kt_components *c = NULL;
    draw(mask, rows);
    ck_assert_int_eq(kt_components_create(&c, W, H), 0);
    kt_components_fill_holes(c, mask, 2);
    ck_assert_int_eq(mask[W + 1], 0);                       /* of three pixels: too large */
    ck_assert_int_eq(mask[2 * W + 6], 255);                 /* its way out is a corner only */
    ck_assert_int_eq(mask[W + 10], 0);                      /* open below */
    kt_components_fill_holes(c, mask, 3);
    ck_assert(mask[W + 1] == 255 && mask[W + 2] == 255 && mask[2 * W + 1] == 255);
    kt_components_destroy(&c);
}
END_TEST

START_TEST(a_chessboard_of_the_most_runs_fits)
{
    uint8_t mask[W * H];
    struct kt_blob blob[KT_BLOBS_MAX];
    for (int i = 0; i < W * H; i++)
        mask[i] = (i % W + i / W) % 2 ? 255 : 0;
    ck_assert_int_eq(find(mask, 1, blob), 1);
    ck_assert_int_eq(blob[0].area, W * H / 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("components");
    TCase *tc = tcase_create("components");
    tcase_add_test(tc, corners_touching_join_and_gaps_part);
    tcase_add_test(tc, a_u_is_one_component_although_its_arms_meet_late);
    tcase_add_test(tc, small_components_are_dropped_and_erased);
    tcase_add_test(tc, one_component_can_be_erased);
    tcase_add_test(tc, holes_are_filled_but_bays_and_the_edge_are_not);
    tcase_add_test(tc, a_chessboard_of_the_most_runs_fits);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}
