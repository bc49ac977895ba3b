#include "storage/vault/vault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "storage/vault/mp4_hash.h"
#include "tests/unit/footage_ring.h"
#include "tests/unit/run_suite.h"

#define BASE INT64_C(1700000000000000)
#define SECOND INT64_C(1000000)

static char dir[64], vault_path[96], footage[96];
static kt_catalog *catalog;
static kt_ring *ring;
static kt_vault *vault;
static int64_t incident;

static void open_vault(uint64_t max_bytes)
{
    struct kt_error err = { "" };
    ck_assert_msg(kt_vault_open(&vault, &(struct kt_vault_params){ vault_path, max_bytes, catalog }, &err) == 0,
                  "%s", err.text);
}

static void setup(void)
{
    struct kt_error err = { "" };
    char path[96];
    strcpy(dir, "/tmp/kt-vault-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(vault_path, sizeof(vault_path), "%s/vault", dir);
    snprintf(footage, sizeof(footage), "%s/f.mp4", dir);
    kt_footage_make(footage, 6);
    snprintf(path, sizeof(path), "%s/c.db", dir);
    ck_assert_msg(kt_catalog_open(&catalog, path, &err) == 0, "%s", err.text);
    snprintf(path, sizeof(path), "%s/ring", dir);
    const struct kt_ring_params params = { .name = "video", .path = path, .size_bytes = 256u << 20,
                                           .create = true };
    ck_assert_msg(kt_ring_open(&ring, &params, &err) == 0, "%s", err.text);
    /* Two runs with a hole of four seconds. */
    const int64_t end = kt_footage_append(ring, "gerbang/main", footage, 1, BASE);
    kt_footage_append(ring, "gerbang/main", footage, 2, end + 4 * SECOND);
    ck_assert_int_eq(kt_ring_flush(ring, 10 * SECOND), 0);
    struct kt_incident in = { .title = "Motor hilang", .from_us = BASE, .to_us = BASE + 60 * SECOND,
                              .cameras = (char *)"[\"gerbang\"]" };
    ck_assert_int_eq(kt_catalog_incident_put(catalog, &in), 0);
    incident = in.id;
    open_vault(1u << 30);
}

static void teardown(void)
{
    char command[96];
    kt_vault_close(&vault);
    kt_ring_close(&ring);
    kt_catalog_close(&catalog);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static struct kt_hold new_hold(int64_t from_us, int64_t to_us)
{
    struct kt_hold h = { .incident = incident, .camera = "gerbang", .stream = "main", .from_us = from_us,
                         .to_us = to_us };
    ck_assert_int_eq(kt_catalog_hold_add(catalog, &h), 0);
    return h;
}

static int hold_it(const struct kt_hold *h, const struct kt_vault_source *source, kt_vault_progress progress,
                   struct kt_error *err)
{
    return kt_vault_hold(vault, &(struct kt_vault_ring){ ring, false }, 1, h, source, progress, NULL, err);
}

static struct kt_hold_file *files_of(const struct kt_hold *h, size_t *n)
{
    struct kt_hold_file *files = NULL;
    ck_assert_int_eq(kt_catalog_hold_files(catalog, h->id, &files, n), 0);
    return files;
}

static int count_files(void)
{
    int n = 0;
    DIR *d = opendir(vault_path);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* Bytes of all kept logs. */
static uint64_t chain_bytes(void)
{
    uint64_t bytes = 0;
    char path[400];
    struct stat st;
    DIR *d = opendir(vault_path);
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(path, sizeof(path), "%s/%s", vault_path, e->d_name);
        if (strstr(e->d_name, ".chain") && stat(path, &st) == 0)
            bytes += (uint64_t)st.st_size;
    }
    closedir(d);
    return bytes;
}

/* First line of what COMMAND says of FILE. */
static void ask(const char *before, const char *file, const char *after, char *out, size_t cap)
{
    char command[512];
    snprintf(command, sizeof(command), "%s %s/%s %s", before, vault_path, file, after);
    FILE *p = popen(command, "r");
    ck_assert_ptr_nonnull(p);
    if (!fgets(out, (int)cap, p))
        out[0] = '\0';
    ck_assert_int_eq(pclose(p), 0);
    out[strcspn(out, "\r\n")] = '\0';
}

START_TEST(a_hold_is_the_ring_s_frames_one_file_a_run)
{
    const struct kt_hold h = new_hold(BASE, BASE + 60 * SECOND);
    struct kt_error err = { "" };
    size_t n;
    ck_assert_msg(hold_it(&h, NULL, NULL, &err) == 0, "%s", err.text);
    struct kt_hold_file *files = files_of(&h, &n);
    ck_assert_uint_eq(n, 2);
    for (size_t i = 0; i < n; i++) {
        char text[256], expected[256];
        ck_assert_uint_eq(files[i].frames, 60);
        ask("ffmpeg -v error -i", files[i].name, "-map 0:v -c copy -f streamhash -hash sha256 -", text,
            sizeof(text));
        snprintf(expected, sizeof(expected), "0,v,SHA256=%s", files[i].stream_hash);
        ck_assert_str_eq(text, expected);
        ask("ffprobe -v error -count_frames -select_streams v -show_entries stream=nb_read_frames -of csv=p=0",
            files[i].name, "", text, sizeof(text));
        ck_assert_int_eq(atoi(text), 60);
        ck_assert_ptr_nonnull(strstr(files[i].records, "["));
    }
    ck_assert_int_eq(files[0].start_us, BASE);
    ck_assert_int_eq(files[1].start_us, BASE + 10 * SECOND);
    ck_assert_int_eq(kt_vault_verify(vault, h.id, &err), 0);
    kt_hold_file_list_free(&files, n);
}
END_TEST

/* By an independent reader, as the ONVIF Export File Format describes the boxes. */
START_TEST(a_held_file_says_inside_where_it_comes_from)
{
    const struct kt_hold h = new_hold(BASE, BASE + 4 * SECOND);
    const struct kt_vault_source source = { "pos", "Gerbang Utara", "rtsp://192.168.1.11/1" };
    struct kt_error err = { "" };
    char command[1400];
    ck_assert_msg(hold_it(&h, &source, NULL, &err) == 0, "%s", err.text);
    snprintf(command, sizeof(command), "python3 - %s/hold-*.mp4 <<'X'\nimport struct,sys,time\n"
        "d=open(sys.argv[1],'rb').read()\n"
        "def boxes(b):\n  at=0\n  while at<len(b):\n    n,t=struct.unpack_from('>I4s',b,at); yield t.decode(),b[at+8:at+n]; at+=n\n"
        "top=list(boxes(d)); names=[t for t,_ in top]\n"
        "assert names[:4]==['ftyp','moov','meta','moof'] and names.count('meta')==1, names[:5]\n"
        "meta=dict(boxes(top[2][1][4:])); assert list(meta)==['hdlr','suep','cstb'], meta\n"
        "s=meta['suep']; assert s[:4]==b'\\1\\0\\0\\0'\n"
        "assert s[4:].startswith(b'pos\\0\\0\\0')\n"
        "t,=struct.unpack_from('>Q',s,10); assert abs(t-2082844800-time.time())<100, t\n"
        "assert s[18:].startswith(b'\\0\\0\\0\\0\\1\\0\\1Gerbang Utara\\0rtsp://192.168.1.11/1\\0\\0\\0'), s[18:]\n"
        "n,track,start=struct.unpack('>IIQ',meta['cstb'])\n"
        "assert (n,track)==(1,1) and start/1e7-11644473600==%lld, start\nX", vault_path, (long long)(BASE / SECOND));
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(a_hold_begins_at_the_key_frame_before)
{
    const struct kt_hold h = new_hold(BASE + 2500000, BASE + 4 * SECOND);
    struct kt_error err = { "" };
    size_t n;
    ck_assert_msg(hold_it(&h, NULL, NULL, &err) == 0, "%s", err.text);
    struct kt_hold_file *files = files_of(&h, &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(files[0].start_us, BASE + 2 * SECOND);
    ck_assert_int_ge(files[0].end_us, BASE + 4 * SECOND);
    ck_assert_int_le(files[0].end_us, BASE + 5 * SECOND);
    kt_hold_file_list_free(&files, n);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_before_a_byte_is_copied)
{
    kt_vault_close(&vault);
    open_vault(20000);
    const struct kt_hold h = new_hold(BASE, BASE + 60 * SECOND);
    struct kt_error err = { "" };
    struct kt_vault_status status;
    ck_assert_int_eq(hold_it(&h, NULL, NULL, &err), -ENOSPC);
    ck_assert_ptr_nonnull(strstr(err.text, "no room"));
    ck_assert_int_eq(count_files(), 0);
    kt_vault_status(vault, &status);
    ck_assert_uint_eq(status.used_bytes, 0);
}
END_TEST

START_TEST(nothing_recorded_is_said)
{
    const struct kt_hold h = new_hold(BASE - 600 * SECOND, BASE - 500 * SECOND);
    struct kt_error err = { "" };
    ck_assert_int_eq(hold_it(&h, NULL, NULL, &err), -ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, "gerbang/main"));
}
END_TEST

static int stop_in_second_file(void *user, uint64_t done, uint64_t total)
{
    return done > total * 3 / 4;
}

START_TEST(a_copy_that_was_stopped_goes_on_where_it_was)
{
    const struct kt_hold h = new_hold(BASE, BASE + 60 * SECOND);
    struct kt_error err = { "" };
    struct kt_vault_status status;
    size_t n;
    ck_assert_int_eq(hold_it(&h, NULL, stop_in_second_file, &err), -ECANCELED);
    struct kt_hold_file *files = files_of(&h, &n);
    ck_assert_uint_eq(n, 1);
    const int64_t first = files[0].id;
    const uint64_t size = files[0].size_bytes;
    kt_hold_file_list_free(&files, n);
    ck_assert_int_eq(count_files(), 2);                 /* video and log */
    kt_vault_status(vault, &status);
    ck_assert_uint_eq(status.used_bytes, size + chain_bytes());
    ck_assert_msg(hold_it(&h, NULL, NULL, &err) == 0, "%s", err.text);
    files = files_of(&h, &n);
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(files[0].id, first);
    ck_assert_uint_eq(files[0].frames + files[1].frames, 120);
    kt_hold_file_list_free(&files, n);
}
END_TEST

/* The process dies by SIGKILL in the middle of the second file. */
static int die_in_second_file(void *user, uint64_t done, uint64_t total)
{
    if (done > total * 3 / 4)
        raise(SIGKILL);
    return 0;
}

START_TEST(after_kill_9_only_whole_files_are_there_and_it_goes_on)
{
    const struct kt_hold h = new_hold(BASE, BASE + 60 * SECOND);
    struct kt_error err = { "" };
    size_t n;
    /* The child opens everything itself: threads do not survive fork(). */
    char ring_path[96], db[96];
    snprintf(ring_path, sizeof(ring_path), "%s/ring", dir);
    snprintf(db, sizeof(db), "%s/c.db", dir);
    kt_vault_close(&vault);
    kt_ring_close(&ring);
    kt_catalog_close(&catalog);
    const struct kt_ring_params params = { .name = "video", .path = ring_path, .size_bytes = 256u << 20 };
    const pid_t child = fork();
    if (child == 0) {
        if (kt_catalog_open(&catalog, db, &err) < 0 || kt_ring_open(&ring, &params, &err) < 0)
            _exit(3);
        open_vault(1u << 30);
        (void)!hold_it(&h, NULL, die_in_second_file, &err);
        _exit(4);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", (unsigned)status);
    ck_assert_msg(kt_catalog_open(&catalog, db, &err) == 0, "%s", err.text);
    ck_assert_msg(kt_ring_open(&ring, &params, &err) == 0, "%s", err.text);
    ck_assert_int_eq(count_files(), 4);                 /* one whole with its log, one log and .part */
    open_vault(1u << 30);
    ck_assert_int_eq(count_files(), 2);
    ck_assert_msg(hold_it(&h, NULL, NULL, &err) == 0, "%s", err.text);
    struct kt_hold_file *files = files_of(&h, &n);
    ck_assert_uint_eq(n, 2);
    kt_hold_file_list_free(&files, n);
    ck_assert_int_eq(kt_vault_verify(vault, h.id, &err), 0);
}
END_TEST

START_TEST(a_flipped_bit_is_found)
{
    const struct kt_hold h = new_hold(BASE, BASE + 3 * SECOND);
    struct kt_error err = { "" };
    size_t n;
    char path[300], byte;
    ck_assert_int_eq(hold_it(&h, NULL, NULL, &err), 0);
    struct kt_hold_file *files = files_of(&h, &n);
    snprintf(path, sizeof(path), "%s/%s", vault_path, files[0].name);
    const int fd = open(path, O_RDWR);
    ck_assert_int_eq(pread(fd, &byte, 1, 3000), 1);
    byte ^= 4;
    ck_assert_int_eq(pwrite(fd, &byte, 1, 3000), 1);
    close(fd);
    ck_assert_int_eq(kt_vault_verify(vault, h.id, &err), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(err.text, files[0].name));
    kt_hold_file_list_free(&files, n);
}
END_TEST

START_TEST(released_video_is_gone_and_its_room_is_free)
{
    const struct kt_hold h = new_hold(BASE, BASE + 60 * SECOND);
    struct kt_error err = { "" };
    struct kt_vault_status status;
    ck_assert_int_eq(hold_it(&h, NULL, NULL, &err), 0);
    kt_vault_status(vault, &status);
    ck_assert_uint_gt(status.used_bytes, 0);
    ck_assert_int_eq(kt_vault_release(vault, h.id), 0);
    ck_assert_int_eq(count_files(), 0);
    kt_vault_status(vault, &status);
    ck_assert_uint_eq(status.used_bytes, 0);
    struct kt_hold now;
    ck_assert_int_eq(kt_catalog_hold_get(catalog, h.id, &now), 0);
    ck_assert_int_eq(now.state, KT_JOB_CANCELLED);
}
END_TEST

START_TEST(a_second_process_is_kept_out)
{
    kt_vault *other = NULL;
    struct kt_error err = { "" };
    ck_assert_int_eq(kt_vault_open(&other, &(struct kt_vault_params){ vault_path, 1, catalog }, &err), -EBUSY);
    ck_assert_ptr_null(other);
    ck_assert_int_lt(kt_vault_open_file(vault, "../c.db"), 0);
}
END_TEST

START_TEST(what_is_no_video_is_refused_by_the_hash)
{
    kt_mp4_hash *h = NULL;
    struct kt_mp4_facts facts;
    size_t size;
    uint8_t *data = kt_footage_read(footage, &size);
    for (size_t cut = 0; cut < 2000; cut += 7) {        /* a cut anywhere never passes, nor crashes */
        ck_assert_int_eq(kt_mp4_hash_create(&h), 0);
        int ret = kt_mp4_hash_feed(h, data, cut);
        if (ret == 0)
            ret = kt_mp4_hash_finish(h, &facts);
        ck_assert(ret == -EBADMSG || facts.frames < 60);
        kt_mp4_hash_free(&h);
    }
    free(data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vault");
    TCase *tc = tcase_create("vault");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_hold_is_the_ring_s_frames_one_file_a_run);
    tcase_add_test(tc, a_held_file_says_inside_where_it_comes_from);
    tcase_add_test(tc, a_hold_begins_at_the_key_frame_before);
    tcase_add_test(tc, what_does_not_fit_is_refused_before_a_byte_is_copied);
    tcase_add_test(tc, nothing_recorded_is_said);
    tcase_add_test(tc, a_copy_that_was_stopped_goes_on_where_it_was);
    tcase_add_test(tc, after_kill_9_only_whole_files_are_there_and_it_goes_on);
    tcase_add_test(tc, a_flipped_bit_is_found);
    tcase_add_test(tc, released_video_is_gone_and_its_room_is_free);
    tcase_add_test(tc, a_second_process_is_kept_out);
    tcase_add_test(tc, what_is_no_video_is_refused_by_the_hash);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}
