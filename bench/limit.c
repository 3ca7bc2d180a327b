/* Measures the minimum cost of a run: a C program on the same libwasmtime that does the work of Sandbox.run.
 *
 * Usage: limit ARTIFACT MESSAGE FUEL MEMORY_BYTES MEMORIES TARGET FLAG=VALUE...
 * A flag is a setter of wasmtime's configuration. For each line on stdin with a number of runs it prints the nanoseconds
 * that they took, and the host calls and bytes of text that came in. The wheel has no headers: what is used of the
 * stable C API is declared here. */

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct text {
    size_t size;
    char *data;
};

enum { BOOL = 0, U64 = 8, STRING = 12, RESULT = 19 };

struct value {
    uint8_t kind;
    union {
        bool boolean;
        uint64_t u64;
        struct text string;
        struct {
            bool ok;
            struct value *value;
        } result;
        uint64_t room[3];
    } of;
};

struct function {
    uint64_t room[4];
};

struct instance {
    uint64_t room[2];
};

typedef struct wasmtime_error error;
typedef size_t callback(void *data, void *context, const void *type, struct value *arguments, size_t argument_count,
                        struct value *results, size_t result_count);

void *wasm_config_new(void);
void *wasm_engine_new_with_config(void *config);
error *wasmtime_config_target_set(void *config, const char *target);
error *wasmtime_error_new(const char *text);
void wasmtime_error_message(const error *error, struct text *message);
void *wasmtime_store_new(void *engine, void *data, void (*finalizer)(void *));
void *wasmtime_store_context(void *store);
void wasmtime_store_limiter(void *store, int64_t memory_size, int64_t table_elements, int64_t instances,
                            int64_t tables, int64_t memories);
void wasmtime_store_delete(void *store);
error *wasmtime_context_set_fuel(void *context, uint64_t fuel);
error *wasmtime_context_get_fuel(void *context, uint64_t *fuel);
void wasmtime_context_set_epoch_deadline(void *context, uint64_t ticks);
void wasm_byte_vec_new(struct text *out, size_t size, const char *data);
struct value *wasmtime_component_val_new(struct value *value);
error *wasmtime_component_deserialize_file(void *engine, const char *path, void **component);
void *wasmtime_component_get_export_index(void *component, void *parent, const char *name, size_t length);
void *wasmtime_component_linker_new(void *engine);
void *wasmtime_component_linker_root(void *linker);
error *wasmtime_component_linker_instance_add_instance(void *parent, const char *name, size_t length, void **out);
error *wasmtime_component_linker_instance_add_func(void *parent, const char *name, size_t length, callback *function,
                                                   void *data, void (*finalizer)(void *));
void wasmtime_component_linker_instance_delete(void *instance);
error *wasmtime_component_linker_instantiate(void *linker, void *context, void *component, struct instance *out);
bool wasmtime_component_instance_get_func(struct instance *instance, void *context, void *index, struct function *out);
error *wasmtime_component_func_call(struct function *function, void *context, const struct value *arguments,
                                    size_t argument_count, struct value *results, size_t result_count);

static const char HOST[] = "guildhook:sandbox/host";
/* The host functions of wrapper.py. */
static const char *const FUNCTIONS[] = {"log",       "send-message", "get-settings", "state-get", "state-set", "state-delete",
                                        "environment", "write",      "now",          "seed",      "exit",      "refuse"};
static const char ANSWER[] = "6a1d0000-0000-5000-8000-000000000001"; /* as long as an idempotency key */
static const uint64_t FUEL_PER_CALL = 5000, FUEL_PER_BYTE = 4;       /* as host_functions.py has them */

static char record[1 << 20];
static size_t recorded, calls;

static void check(error *failed) {
    if (!failed) return;
    struct text message;
    wasmtime_error_message(failed, &message);
    fprintf(stderr, "limit: %.*s\n", (int)message.size, message.data);
    exit(1);
}

static bool charge(void *context, uint64_t fuel) {
    uint64_t left;
    wasmtime_context_get_fuel(context, &left);
    wasmtime_context_set_fuel(context, left > fuel ? left - fuel : 0);
    return left > fuel;
}

static void answer(struct value *value, const char *text) {
    value->kind = STRING;
    wasm_byte_vec_new(&value->of.string, strlen(text), text);
}

static size_t host(void *name, void *context, const void *type, struct value *arguments, size_t argument_count,
                   struct value *results, size_t result_count) {
    (void)type;
    size_t size = 0;
    for (size_t i = 0; i < argument_count; i++)
        if (arguments[i].kind == STRING) size += arguments[i].of.string.size;
    /* The measured plugin has no state, so options are not supported. */
    if (strncmp(name, "state-", strlen("state-")) == 0) return (size_t)wasmtime_error_new("not for this");
    if (recorded + size > sizeof record || !charge(context, FUEL_PER_CALL + size * FUEL_PER_BYTE))
        return (size_t)wasmtime_error_new("ended by the host");
    for (size_t i = 0; i < argument_count; i++) {
        if (arguments[i].kind != STRING) continue;
        memcpy(record + recorded, arguments[i].of.string.data, arguments[i].of.string.size);
        recorded += arguments[i].of.string.size;
    }
    calls++;
    if (result_count == 0) return 0;
    const char *function = name;
    if (strcmp(function, "send-message") == 0) {
        struct value text;
        answer(&text, ANSWER);
        results[0].kind = RESULT;
        results[0].of.result.ok = true;
        results[0].of.result.value = wasmtime_component_val_new(&text);
        charge(context, strlen(ANSWER) * FUEL_PER_BYTE);
    } else if (strcmp(function, "now") == 0 || strcmp(function, "seed") == 0) {
        results[0].kind = U64;
        results[0].of.u64 = 1;
    } else {
        answer(&results[0], strcmp(function, "get-settings") == 0 ? "{}" : "");
    }
    return 0;
}

static uint64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

int main(int count, char **arguments) {
    if (count < 7) return 2;
    const char *artifact = arguments[1], *message = arguments[2];
    uint64_t fuel = strtoull(arguments[3], 0, 10);
    int64_t memory_bytes = strtoll(arguments[4], 0, 10), memories = strtoll(arguments[5], 0, 10);

    void *config = wasm_config_new();
    check(wasmtime_config_target_set(config, arguments[6]));
    for (int i = 7; i < count; i++) {
        char setter[200], name[100];
        unsigned long value;
        if (sscanf(arguments[i], "%99[^=]=%lu", name, &value) != 2) return 2;
        snprintf(setter, sizeof setter, "wasmtime_config_%s_set", name);
        void (*set)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, setter);
        if (!set) {
            fprintf(stderr, "limit: libwasmtime has no %s\n", setter);
            return 1;
        }
        set(config, value);
    }
    void *engine = wasm_engine_new_with_config(config);

    void *linker = wasmtime_component_linker_new(engine), *root = wasmtime_component_linker_root(linker), *interface;
    check(wasmtime_component_linker_instance_add_instance(root, HOST, strlen(HOST), &interface));
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++)
        check(wasmtime_component_linker_instance_add_func(interface, FUNCTIONS[i], strlen(FUNCTIONS[i]), host,
                                                          (void *)FUNCTIONS[i], 0));
    wasmtime_component_linker_instance_delete(interface);
    wasmtime_component_linker_instance_delete(root);

    void *component;
    check(wasmtime_component_deserialize_file(engine, artifact, &component));
    void *index = wasmtime_component_get_export_index(component, 0, "on-message", strlen("on-message"));

    struct value argument = {.kind = STRING, .of.string = {strlen(message), (char *)message}};
    char line[32];
    while (fgets(line, sizeof line, stdin)) {
        long runs = strtol(line, 0, 10);
        uint64_t started = nanoseconds();
        for (long run = 0; run < runs; run++) {
            recorded = calls = 0;
            void *store = wasmtime_store_new(engine, 0, 0), *context = wasmtime_store_context(store);
            check(wasmtime_context_set_fuel(context, fuel));
            wasmtime_context_set_epoch_deadline(context, 1000);
            wasmtime_store_limiter(store, memory_bytes, 20000, 100, 50, memories);
            struct instance instance;
            struct function function;
            check(wasmtime_component_linker_instantiate(linker, context, component, &instance));
            if (!wasmtime_component_instance_get_func(&instance, context, index, &function)) return 1;
            check(wasmtime_component_func_call(&function, context, &argument, 1, 0, 0));
            uint64_t left;
            check(wasmtime_context_get_fuel(context, &left));
            wasmtime_store_delete(store);
        }
        printf("%llu %zu %zu\n", (unsigned long long)(nanoseconds() - started), calls, recorded);
        fflush(stdout);
    }
    return 0;
}
