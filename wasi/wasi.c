/* WASI 0.2 for plugins, inside the sandbox: its functions are WebAssembly under the fuel, deadline and memory limit of
 * the plugin that calls them, and pass only texts and numbers to the host.
 *
 * No function waits: streams are always ready, and a sleep advances the clock of the run and returns. None has effects
 * outside: there are no files, and sockets are denied. Functions that need a handle that does not exist, such as that
 * of a socket, are in unavailable.c, which the Makefile generates; each of them traps.
 *
 * The component is built without libc and without generated bindings. A run has a fresh instance. */

typedef unsigned char byte;
typedef unsigned int u32;
typedef unsigned long long u64;

#define EXPORT(name) __attribute__((export_name(name)))
#define HOST(name) __attribute__((import_module("guildhook:sandbox/host"), import_name(name)))
#define NEW(interface, resource) \
    __attribute__((import_module("[export]" interface), import_name("[resource-new]" resource)))

struct list {
    const void *start;
    u32 length;
};

HOST("environment") void host_environment(struct list *text);
HOST("write") void host_write(u32 to_stderr, const byte *text, u32 length);
HOST("now") u64 host_now(void);
HOST("seed") u64 host_seed(void);
HOST("exit") _Noreturn void host_exit(u32 success);
HOST("refuse") _Noreturn void host_refuse(const char *what, u32 length);

#define REFUSE(what) host_refuse(what, sizeof(what) - 1)

/* --- memory for arguments and for long results ------------------------------------------------------------- */

/* The size of the largest value that passes: random bytes, or the environment. */
#define ARENA_BYTES 65536u

static byte arena[ARENA_BYTES] __attribute__((aligned(8)));
static u32 arena_used;

/* Returns 0 if there is no room. */
static void *take(u32 align, u32 size) {
    u32 start = (arena_used + align - 1) & ~(align - 1);
    if (size > ARENA_BYTES || start > ARENA_BYTES - size) return 0;
    arena_used = start + size;
    return arena + start;
}

/* Called for every list and text that is passed in. Its memory is free again when the call has returned. It traps if
 * there is no room, since the host cannot be called from here. */
EXPORT("cabi_realloc") void *cabi_realloc(void *old, u32 old_size, u32 align, u32 size) {
    void *start = take(align, size);
    if (!start) __builtin_trap();
    return start;
}

/* --- results in the layout of the canonical ABI ------------------------------------------------------------ */

static struct {
    u32 discriminant; /* only one byte of it counts */
    u32 word;
    u64 wide;
} answer;

static struct list answer_list;

static void *ok(void) {
    arena_used = 0;
    answer.discriminant = 0;
    return &answer;
}

static void *ok_u64(u64 value) {
    answer.wide = value;
    return ok();
}

static void *error(u32 code) {
    arena_used = 0;
    answer.discriminant = 1;
    answer.word = code;
    return &answer;
}

static void *none(void) { return ok(); }

static void *list_of(const void *start, u32 length) {
    arena_used = 0;
    answer_list.start = start;
    answer_list.length = length;
    return &answer_list;
}

/* --- clocks: the time of the event, and the waits of the run since then ---------------------------------------- */

#define MICROSECOND 1000ull
/* A day. A toolchain may save times of the clock of its build in the plugin, which is usually the time since the build
 * began, and subtract them from the time of a run; the difference should not be negative. */
#define MONOTONIC_START 86400000000000ull

static u64 elapsed;

/* Reading the clock advances it by a microsecond, so that a loop that waits for time to pass ends. */
static u64 look(void) {
    u64 now = elapsed;
    elapsed += MICROSECOND;
    return now;
}

EXPORT("wasi:clocks/monotonic-clock@0.2.0#now") u64 monotonic_now(void) { return MONOTONIC_START + look(); }
EXPORT("wasi:clocks/monotonic-clock@0.2.0#resolution") u64 monotonic_resolution(void) { return MICROSECOND; }

static struct {
    u64 seconds;
    u32 nanoseconds;
} datetime;

EXPORT("wasi:clocks/wall-clock@0.2.0#now") void *wall_now(void) {
    u64 now = host_now() + look();
    datetime.seconds = now / 1000000000u;
    datetime.nanoseconds = (u32)(now % 1000000000u);
    return &datetime;
}

EXPORT("wasi:clocks/wall-clock@0.2.0#resolution") void *wall_resolution(void) {
    datetime.seconds = 0;
    datetime.nanoseconds = MICROSECOND;
    return &datetime;
}

/* --- polling: everything is ready; timers are ready once the clock is advanced --------------------------------- */

NEW("wasi:io/poll@0.2.0", "pollable") u32 new_pollable(u32 rep);

/* A pollable is 0, or the index of a timer here plus one. If there are more timers than entries, they share entries,
 * and a timer whose entry is overwritten advances the clock to another time. Waiting ends all the same. */
#define TIMERS 64u
static u64 timers[TIMERS];
static u32 timers_made;

static u32 new_timer(u64 due) {
    u32 place = timers_made++ % TIMERS;
    timers[place] = due;
    return new_pollable(place + 1);
}

static u64 due(u32 pollable) { return pollable ? timers[pollable - 1] : 0; }

static void wait_until(u64 time) {
    if (time > elapsed) elapsed = time;
}

EXPORT("wasi:clocks/monotonic-clock@0.2.0#subscribe-instant") u32 subscribe_instant(u64 when) {
    return new_timer(when > MONOTONIC_START ? when - MONOTONIC_START : 0);
}

EXPORT("wasi:clocks/monotonic-clock@0.2.0#subscribe-duration") u32 subscribe_duration(u64 duration) {
    u64 time = elapsed + duration;
    return new_timer(time < elapsed ? ~0ull : time);
}

EXPORT("wasi:io/poll@0.2.0#[method]pollable.ready") u32 pollable_ready(u32 pollable) {
    return due(pollable) <= elapsed;
}

EXPORT("wasi:io/poll@0.2.0#[method]pollable.block") void pollable_block(u32 pollable) { wait_until(due(pollable)); }

EXPORT("wasi:io/poll@0.2.0#poll") void *poll(u32 *pollables, u32 count) {
    if (!count) REFUSE("poll was called with no pollable, and would wait for ever");
    u64 first = ~0ull;
    for (u32 i = 0; i < count; i++)
        if (due(pollables[i]) < first) first = due(pollables[i]);
    wait_until(first);
    u32 ready = 0; /* their positions overwrite the list from its start */
    for (u32 i = 0; i < count; i++)
        if (due(pollables[i]) <= elapsed) pollables[ready++] = i;
    return list_of(pollables, ready);
}

/* --- stdin is closed; stdout and stderr go into the plugin's log -------------------------------------------- */

NEW("wasi:io/streams@0.2.0", "input-stream") u32 new_input_stream(u32 rep);
NEW("wasi:io/streams@0.2.0", "output-stream") u32 new_output_stream(u32 rep);

#define STDOUT 0u
#define STDERR 1u

EXPORT("wasi:cli/stdin@0.2.0#get-stdin") u32 get_stdin(void) { return new_input_stream(0); }
EXPORT("wasi:cli/stdout@0.2.0#get-stdout") u32 get_stdout(void) { return new_output_stream(STDOUT); }
EXPORT("wasi:cli/stderr@0.2.0#get-stderr") u32 get_stderr(void) { return new_output_stream(STDERR); }

static void *closed(void) { return error(1); }

EXPORT("wasi:io/streams@0.2.0#[method]input-stream.read")
void *input_read(u32 stream, u64 length) { return closed(); }
EXPORT("wasi:io/streams@0.2.0#[method]input-stream.blocking-read")
void *input_blocking_read(u32 stream, u64 length) { return closed(); }
EXPORT("wasi:io/streams@0.2.0#[method]input-stream.skip")
void *input_skip(u32 stream, u64 length) { return closed(); }
EXPORT("wasi:io/streams@0.2.0#[method]input-stream.blocking-skip")
void *input_blocking_skip(u32 stream, u64 length) { return closed(); }
EXPORT("wasi:io/streams@0.2.0#[method]input-stream.subscribe")
u32 input_subscribe(u32 stream) { return new_pollable(0); }

/* The limit of WASI for one blocking-write-and-flush, which check-write also returns here. */
#define WRITE_BYTES 4096u

static void *write(u32 stream, const byte *bytes, u64 length) {
    static byte latin1[2 * WRITE_BYTES]; /* as UTF-8 */
    if (length > WRITE_BYTES) REFUSE("a write to stdout or stderr has more than 4096 bytes");
    u32 size = 0;
    for (u32 i = 0; i < length; i++) {
        if (bytes[i] < 0x80) {
            latin1[size++] = bytes[i];
        } else {
            latin1[size++] = 0xC0 | bytes[i] >> 6;
            latin1[size++] = 0x80 | (bytes[i] & 0x3F);
        }
    }
    if (size) host_write(stream, latin1, size);
    return ok();
}

static void *write_zeroes(u32 stream, u64 length) {
    static byte zeroes[WRITE_BYTES];
    return write(stream, zeroes, length);
}

EXPORT("wasi:io/streams@0.2.0#[method]output-stream.check-write")
void *output_check_write(u32 stream) { return ok_u64(WRITE_BYTES); }
EXPORT("wasi:io/streams@0.2.0#[method]output-stream.write")
void *output_write(u32 stream, const byte *bytes, u32 length) { return write(stream, bytes, length); }
EXPORT("wasi:io/streams@0.2.0#[method]output-stream.blocking-write-and-flush")
void *output_write_and_flush(u32 stream, const byte *bytes, u32 length) {
    return write(stream, bytes, length);
}
EXPORT("wasi:io/streams@0.2.0#[method]output-stream.flush")
void *output_flush(u32 stream) { return ok(); }
EXPORT("wasi:io/streams@0.2.0#[method]output-stream.blocking-flush")
void *output_blocking_flush(u32 stream) { return ok(); }
EXPORT("wasi:io/streams@0.2.0#[method]output-stream.subscribe")
u32 output_subscribe(u32 stream) { return new_pollable(0); }
EXPORT("wasi:io/streams@0.2.0#[method]output-stream.write-zeroes")
void *output_write_zeroes(u32 stream, u64 length) { return write_zeroes(stream, length); }
EXPORT("wasi:io/streams@0.2.0#[method]output-stream.blocking-write-zeroes-and-flush")
void *output_write_zeroes_and_flush(u32 stream, u64 length) {
    return write_zeroes(stream, length);
}
EXPORT("wasi:io/streams@0.2.0#[method]output-stream.splice")
void *output_splice(u32 stream, u32 source, u64 length) {
    return closed();
}
EXPORT("wasi:io/streams@0.2.0#[method]output-stream.blocking-splice")
void *output_blocking_splice(u32 stream, u32 source, u64 length) {
    return closed();
}

/* --- environment and exit ----------------------------------------------------------------------------------- */

struct variable {
    struct list name, value;
};

/* Returns the text up to the next NUL, and skips it with the NUL. */
static struct list next_text(const byte **at, const byte *end) {
    const byte *start = *at;
    while (*at < end && **at) ++*at;
    struct list text = {start, (u32)(*at - start)};
    ++*at;
    return text;
}

EXPORT("wasi:cli/environment@0.2.0#get-environment") void *get_environment(void) {
    struct list text;
    host_environment(&text);
    const byte *at = text.start, *end = at + text.length;
    struct variable *variables = take(4, 0);
    u32 count = 0;
    while (at < end) {
        struct variable *variable = take(4, sizeof *variable);
        if (!variable) REFUSE("the environment has more entries than there is room for");
        variable->name = next_text(&at, end);
        variable->value = next_text(&at, end);
        count++;
    }
    return list_of(variables, count);
}

EXPORT("wasi:cli/environment@0.2.0#get-arguments") void *get_arguments(void) { return list_of(arena, 0); }
EXPORT("wasi:cli/environment@0.2.0#initial-cwd") void *initial_cwd(void) { return none(); }

EXPORT("wasi:cli/exit@0.2.0#exit") void exit_with_result(u32 failed) { host_exit(!failed); }
EXPORT("wasi:cli/exit@0.2.0#exit-with-code") void exit_with_code(u32 code) { host_exit(!code); }

EXPORT("wasi:cli/terminal-stdin@0.2.0#get-terminal-stdin") void *terminal_stdin(void) { return none(); }
EXPORT("wasi:cli/terminal-stdout@0.2.0#get-terminal-stdout") void *terminal_stdout(void) { return none(); }
EXPORT("wasi:cli/terminal-stderr@0.2.0#get-terminal-stderr") void *terminal_stderr(void) { return none(); }

/* --- random numbers from the seed of the run -------------------------------------------------------------------- */

/* SplitMix64. The seed determines the numbers, and the record of the run contains it, so that a replay gets the same. */
static u64 random_u64(void) {
    static u64 state;
    static byte seeded;
    if (!seeded) {
        state = host_seed();
        seeded = 1;
    }
    u64 z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void *random_bytes(u64 length) {
    if (length > ARENA_BYTES) REFUSE("more than 65536 random bytes were asked for at once");
    for (u32 i = 0; i < length; i += 8) *(u64 *)(arena + i) = random_u64();
    return list_of(arena, (u32)length);
}

EXPORT("wasi:random/random@0.2.0#get-random-bytes") void *get_random_bytes(u64 length) { return random_bytes(length); }
EXPORT("wasi:random/random@0.2.0#get-random-u64") u64 get_random_u64(void) { return random_u64(); }
EXPORT("wasi:random/insecure@0.2.0#get-insecure-random-bytes") void *get_insecure_random_bytes(u64 length) {
    return random_bytes(length);
}
EXPORT("wasi:random/insecure@0.2.0#get-insecure-random-u64") u64 get_insecure_random_u64(void) { return random_u64(); }
EXPORT("wasi:random/insecure-seed@0.2.0#insecure-seed") void *insecure_seed(void) {
    static u64 seed[2];
    seed[0] = random_u64();
    seed[1] = random_u64();
    return seed;
}

/* --- no files, no sockets ----------------------------------------------------------------------------------- */

NEW("wasi:sockets/network@0.2.0", "network") u32 new_network(u32 rep);

/* Values of the error-code of wasi:sockets/network. */
#define ACCESS_DENIED 1u
#define NAME_UNRESOLVABLE 18u

EXPORT("wasi:filesystem/preopens@0.2.0#get-directories") void *get_directories(void) { return list_of(arena, 0); }

EXPORT("wasi:sockets/instance-network@0.2.0#instance-network") u32 instance_network(void) { return new_network(0); }
EXPORT("wasi:sockets/tcp-create-socket@0.2.0#create-tcp-socket") void *create_tcp_socket(u32 family) {
    return error(ACCESS_DENIED);
}
EXPORT("wasi:sockets/udp-create-socket@0.2.0#create-udp-socket") void *create_udp_socket(u32 family) {
    return error(ACCESS_DENIED);
}
EXPORT("wasi:sockets/ip-name-lookup@0.2.0#resolve-addresses")
void *resolve_addresses(u32 network, const byte *name, u32 length) {
    return error(NAME_UNRESOLVABLE);
}
