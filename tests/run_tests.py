#!/usr/bin/python3
"""Run test suites and count single tests.

usage: run_tests.py PART...   unit, integration, browser, faults, sanitizers

Each part is the Meson suite of that name (unit: and "ui", the browser app's own; sanitizers:
unit and integration, in the two sanitizer builds). Check programs report in TAP through
CK_TAP_LOG_FILE_NAME, the others on standard output, in TAP or as a last line like ours; a
program that does neither counts as one test. The last line is "N passed, N failed,
N skipped", and a part that ran nothing has failed.

What Meson calls KT_SHARE in a test's environment is how much of a core it takes, in percent:
programs run side by side while all of them have what they need. Meanwhile the sanitizer builds are
compiled with what nobody else wants.
"""
import concurrent.futures
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARTS = {
    "unit": [("build", ["unit", "headers", "ui"])],
    "integration": [("build", ["integration"])],
    "browser": [("build", ["browser"])],
    "faults": [("build", ["faults"])],
    "sanitizers": [("build-asan", ["unit", "integration"]), ("build-tsan", ["unit", "integration"])],
}
# What these promise is about time, which a build many times slower cannot keep, or takes long
# because it waits; the rest of the program's code they share with the others.
# KT_SANITIZE_ALL=1 runs them all the same.
NOT_SANITIZED = {"camera", "clock_steps", "names", "foreign", "forty", "overload", "power", "proxy", "rings", "secrets"}
# On a machine that is shared with others one of these gets a second chance when it fails, and that is said.
REAL_PROGRAMS = {"integration", "browser", "faults"}
SLOWER = {"build": 1, "build-asan": 4, "build-tsan": 6}         # what may take how much longer, and
DEARER = {"build": 100, "build-asan": 125, "build-tsan": 150}   # what a program takes of a core, in percent of the plain one
COMPILED_BY = {"build-asan": "asan", "build-tsan": "tsan"}      # ./run build WORD
ALL = 100 * (os.cpu_count() or 1)
AT_ONCE = 6         # each has a daemon and cameras, in memory and on the disk
TAP_LINE = re.compile(r"^(not )?ok\b(.*)$")
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
SKIP_EXIT = 77


class Count:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


class Job:
    """One test program of one build, and what came of it."""

    def __init__(self, part, build, suite, test):
        self.part, self.build, self.suite, self.test = part, build, suite, test
        self.name, self.timeout = test["name"], test["timeout"] or 30
        share = int(test.get("env", {}).get("KT_SHARE") or (100 if test["is_parallel"] else ALL))
        self.share = min(ALL, share * DEARER[build] // 100 if suite in REAL_PROGRAMS else share)
        self.count, self.seconds, self.text = Count(), "", ""

    def where(self):
        return self.name + ("" if self.build == "build" else f" ({self.build})")

    def run(self):
        results = os.path.join(ROOT, self.build, "test-results")
        os.makedirs(results, exist_ok=True)
        tap_file = os.path.join(results, re.sub(r"\W+", "-", f"{self.suite}-{self.name}") + ".tap")
        if os.path.exists(tap_file):
            os.remove(tap_file)
        env = dict(os.environ, **sanitizer_environment(), **self.test.get("env", {}))
        env.update(CK_TAP_LOG_FILE_NAME=tap_file, KT_BUILD=os.path.join(ROOT, self.build), KT_ROOT=ROOT,
                   CK_TIMEOUT_MULTIPLIER=str(SLOWER[self.build]))
        started = time.monotonic()
        status, output, cpu = execute(self.test["cmd"], env, self.test.get("workdir") or os.path.join(ROOT, self.build),
                                      self.timeout * SLOWER[self.build] + 30)
        self.seconds = f"{time.monotonic() - started:.1f} s, {cpu:.1f} s of processor"
        with open(tap_file[:-4] + ".log", "w") as log:
            log.write(output)
        tap = output
        if os.path.exists(tap_file):
            with open(tap_file, errors="replace") as f:
                tap = f.read()
        self.judge(status, output, *count_tap(tap))

    def judge(self, status, output, count, bad):
        if status == SKIP_EXIT and count.failed == 0:
            self.count, self.text = Count(skipped=1), output
            return
        if count.passed + count.failed + count.skipped == 0:
            count = Count(passed=1) if status == 0 else Count(failed=1)
        elif status != 0 and count.failed == 0:
            count.failed += 1
            if status is not None:
                bad.append(f"exit status {status}")
        if status is None:
            bad.append("time is up")
        self.count = count
        self.text = "" if count.failed == 0 else "\n".join(bad + [""] + output.splitlines()[-60:])


def count_tap(text):
    count, bad = Count(), []
    summary = SUMMARY.search(text.strip().rpartition("\n")[2])
    if summary:
        count = Count(*map(int, summary.groups()))
        return count, [line for line in text.splitlines() if "not ok" in line]
    for line in text.splitlines():
        match = TAP_LINE.match(line)
        if not match:
            continue
        if re.search(r"#\s*(SKIP|TODO)\b", match[2], re.I):
            count.skipped += 1
        elif match[1]:
            count.failed += 1
            bad.append(line)
        else:
            count.passed += 1
    return count, bad


def sanitizer_environment():
    return {
        "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
        "TSAN_OPTIONS": "halt_on_error=0:exitcode=99:second_deadlock_stack=1"
                        f":suppressions={ROOT}/tests/tsan.supp",
        "LSAN_OPTIONS": f"suppressions={ROOT}/tests/lsan.supp:print_suppressions=0",
    }


def execute(command, env, cwd, timeout):
    """Run COMMAND in a session of its own; its exit status, or None when time ran out, what it wrote, and the seconds
    of processor that it and what it waited for took."""
    process = subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    late = threading.Event()

    def end():
        late.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(timeout, end)
    timer.start()
    output = process.stdout.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    return None if late.is_set() else process.returncode, output, usage.ru_utime + usage.ru_stime


# ------------------------------ what runs when ------------------------------

def tests_of(build, suites):
    """(suite, test)s. The sanitizer builds have those of the plain one, which is there before they are."""
    listed = subprocess.run(["meson", "introspect", "--tests", build], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        sys.exit(f"run_tests.py: {build} is not built")
    wanted = []
    for test in json.loads(listed.stdout):
        suite = {s.split(":")[-1] for s in test["suite"]} & set(suites)
        if suite:
            wanted.append((suite.pop(), test))
    return wanted


def jobs_of(part, build, suites):
    return [Job(part, build, suite, test) for suite, test in tests_of(build, suites)
            if build == "build" or os.environ.get("KT_SANITIZE_ALL") or test["name"] not in NOT_SANITIZED]


def compile_build(build):
    """Make BUILD when nobody else wants the processor. None, or what is wrong."""
    done = subprocess.run(["chrt", "--idle", "0", os.path.join(ROOT, "run"), "build", COMPILED_BY[build]], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
    return done.stdout if done.returncode else None


class Machine:
    """Runs jobs side by side as far as it has cores for them."""

    def __init__(self, jobs, builds):
        self.waiting, self.running, self.again, self.done = jobs, {}, [], []
        self.pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        self.compiler = concurrent.futures.ThreadPoolExecutor(1)
        self.compiling = {self.compiler.submit(compile_build, build): (part, build, suites) for part, build, suites in builds}

    def fits(self, job):
        """Not beside the same program of another build, which would want the same addresses."""
        running = self.running.values()
        return (len(running) < AT_ONCE and sum(j.share for j in running) + job.share <= ALL
                and all(j.name != job.name for j in running))

    def run(self):
        """Returns all jobs and how each ended; (build, what is wrong) of the builds that failed."""
        broken = []
        while self.waiting or self.running or self.compiling or self.again:
            # After the unit tests, what needs most goes first: the small ones fill the gaps.
            self.waiting.sort(key=lambda job: (job.part != "unit", -job.share, -job.timeout))
            for job in list(self.waiting):
                if self.fits(job):
                    self.waiting.remove(job)
                    self.running[self.pool.submit(job.run)] = job
            if not self.waiting and not self.running and not self.compiling:
                for job in self.again:
                    job.run()
                    self.ended(job)
                self.again = []
                continue
            ended, _ = concurrent.futures.wait([*self.running, *self.compiling], return_when=concurrent.futures.FIRST_COMPLETED)
            for future in ended:
                if future in self.running:
                    self.ended(self.running.pop(future), future)
                else:
                    self.compiled(future, broken)
        return self.done, broken

    def compiled(self, future, broken):
        part, build, suites = self.compiling.pop(future)
        jobs = [] if future.result() else jobs_of(part, build, suites)
        self.waiting += jobs
        if not jobs:
            broken.append((part, build, future.result() or "it lists no tests"))

    def ended(self, job, future=None):
        if future:
            future.result()
        if future and job.suite in REAL_PROGRAMS and job.count.failed:
            print(f"again {job.where()}: {job.count}, {job.seconds}\n      " + job.text.replace("\n", "\n      "), flush=True)
            self.again.append(job)
            return
        self.done.append(job)
        report(job)


def report(job):
    word = "FAIL" if job.count.failed else "skip" if not job.count.passed else "ok  "
    if not job.name.endswith(".h") or job.count.failed:
        print(f"{word}  {job.where()}: {job.count}, {job.seconds}")
    if job.text:
        print("      " + job.text.replace("\n", "\n      "))
    sys.stdout.flush()


def main():
    parts = sys.argv[1:]
    if not parts or any(p not in PARTS for p in parts):
        sys.exit(__doc__)
    jobs, builds = [], []
    for part in parts:
        for build, suites in PARTS[part]:
            if build in COMPILED_BY:
                builds.append((part, build, suites))
            else:
                jobs += jobs_of(part, build, suites)
    done, broken = Machine(jobs, builds).run()
    total = Count()
    for part in parts:
        count = Count()
        for job in done:
            if job.part == part:
                count.add(job.count)
        for _, build, why in (b for b in broken if b[0] == part):
            print(f"FAIL  {build} is of no use:\n      " + why.strip().replace("\n", "\n      "))
            count.failed += 1
        if count.passed + count.failed == 0:
            print(f"FAIL  {part}: nothing was run")
            count.failed += 1
        print(f"{part}: {count}")
        total.add(count)
    print(total)
    sys.exit(1 if total.failed else 0)


if __name__ == "__main__":
    main()
