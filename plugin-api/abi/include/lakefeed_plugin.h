/* lakefeed_plugin.h: the C ABI between lakefeed and its plugins, major version 1.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A plugin is a shared library that exports `lakefeed_plugin_entry_v1`. The host calls it once, gets a descriptor, and
 * asks that for interfaces by id: tables of functions. It makes an instance for each destination that uses the plugin
 * and calls the tables with it. This file is the normative text; the Rust crates keep to it, and a test compares them.
 *
 * THREADS. Any function may be called from any thread; calls on one instance come one after the other, but the calls
 * that they start run side by side. A function returns within about a millisecond, unless the descriptor has
 * LAKEFEED_FLAG_BLOCKING_CALLS. Completions and host services may be called from any thread, until the instance's
 * `destroy` has completed and not after; never from inside an Arrow `release`. A plugin installs no signal handler, and
 * calls no exit, setenv or chdir.
 *
 * COMPLETION. A function that takes a `lakefeed_completion` starts a call. The plugin calls `done` EXACTLY ONCE for it:
 * on success, on failure, after `cancel`, after a panic; before the function returns, or later. `cancel` is a request.
 * The handle that the function returned is freed with `op_free`, by the host, once. `destroy` completes last.
 *
 * OWNERSHIP. Whoever allocates frees. Text and structs given to a function are lent until it returns; status and result
 * given to `done` are lent until that returns. Arrays and schemas are moved to the callee, which takes over what they
 * hold and sets their `release` to null, whether the call succeeds or not. `lakefeed_bytes` are freed by the receiver
 * through their own `release`. Buffers of an array are read-only and may begin at its `offset`.
 *
 * GROWTH. Every struct that is passed by pointer begins with its size; more bytes than the receiver knows are ignored,
 * fewer are an error. Reserved fields are zero. Numbers of a closed list may be unknown to the receiver, which then
 * takes the meaning that is written beside the field. A table whose id ends in /0 is not frozen: its layout number
 * changes with it. From /1 on it never changes, and growth is a new id.
 *
 * UNWINDING. No function of either side lets an exception or a panic cross.
 */
#ifndef LAKEFEED_PLUGIN_H
#define LAKEFEED_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define LAKEFEED_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define LAKEFEED_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/* What went wrong: `lakefeed_status.category`. An unknown number is read as LAKEFEED_CATEGORY_INTERNAL. */
#define LAKEFEED_CATEGORY_CONFIG_INVALID 1u      /* the parameters are wrong */
#define LAKEFEED_CATEGORY_AUTH_EXPIRED 2u        /* a fresh token will do */
#define LAKEFEED_CATEGORY_AUTH_DENIED 3u         /* not allowed */
#define LAKEFEED_CATEGORY_SCHEMA_MISMATCH 4u     /* other columns; adding some may help */
#define LAKEFEED_CATEGORY_SCHEMA_INCOMPATIBLE 5u /* other columns; an operator must act */
#define LAKEFEED_CATEGORY_DATA_REJECTED 6u       /* rows are refused for what they contain */
#define LAKEFEED_CATEGORY_PAYLOAD_TOO_LARGE 7u   /* too much at once */
#define LAKEFEED_CATEGORY_THROTTLED 8u           /* too fast */
#define LAKEFEED_CATEGORY_REMOTE_UNAVAILABLE 9u  /* no answer, or not now */
#define LAKEFEED_CATEGORY_TARGET_UNSUPPORTED 10u /* never, for this target */
#define LAKEFEED_CATEGORY_STAGING_CONFLICT 11u   /* an earlier run is in the way */
#define LAKEFEED_CATEGORY_CANCELLED 12u          /* the host asked to stop */
#define LAKEFEED_CATEGORY_DEADLINE 13u           /* the time has passed */
#define LAKEFEED_CATEGORY_PLUGIN_PANIC 14u       /* the plugin panicked */
#define LAKEFEED_CATEGORY_PLUGIN_CRASHED 15u     /* the plugin's process ended */
#define LAKEFEED_CATEGORY_PLUGIN_CONTRACT 16u    /* this file was not kept to */
#define LAKEFEED_CATEGORY_INTERNAL 17u           /* anything else */

/* What helps: `lakefeed_status.retry`. An unknown number is read as LAKEFEED_RETRY_BACKOFF. */
#define LAKEFEED_RETRY_NEVER 1u
#define LAKEFEED_RETRY_AFTER 2u                /* wait retry_after_ms first */
#define LAKEFEED_RETRY_REFRESH_AUTH 3u         /* with a fresh token, once */
#define LAKEFEED_RETRY_EVOLVE_THEN_RETRY 4u    /* add the missing columns, then once */
#define LAKEFEED_RETRY_SPLIT 5u                /* in two halves */
#define LAKEFEED_RETRY_CLEANUP_THEN_RETRY 6u   /* clean the staging area first */
#define LAKEFEED_RETRY_RECREATE_INSTANCE 7u    /* with a new instance */
#define LAKEFEED_RETRY_QUARANTINE 8u           /* stop using this library */
#define LAKEFEED_RETRY_BACKOFF 9u              /* after a growing delay */

/* DOCUMENTS. Rare calls carry UTF-8 JSON objects. Unknown members are ignored; members in brackets may be absent.
 *
 *   table            { ["name"], ["location"] }
 *   column           { "name", "column_type", "sql_type" }   column_type: utf8 date32 timestamp-us-utc int32 int64
 *                    float64 boolean binary, or list<…> of one of these
 *   view schema      { "view", "columns": [{ "name", ["fhir_type"], ["collection"], ["tags": {}] }] }
 *   mapped schema    { "columns": [column] }
 *   table schema     { "table", "exists", "columns": [{ "name", "sql_type", ["column_type"], ["nullable"] }],
 *                    ["properties": {}] }
 *   evolution plan   { "table", "add": [column], "blocked": [{ "kind": drop | rename | narrow | other, "column",
 *                    "reason", ["ddl"] }] }
 *   create table     { "table", "kind": managed | external, "columns": [column], ["comment"] }
 *   applied          { "added": [name], ["remote_id"] }
 *   stage spec       { "run_id", "target": table, "columns": [column], "chunks", "location", ["target_file_bytes"] }
 *   begun            { "token", ["tables": [{ "location", "format" }]] }
 *   chunk receipt    { "chunk": { "index", "fence" }, "location", "rows", "bytes" }
 *   staged set       { "format", "locations": [url], "rows", "bytes" }
 *   merge spec       { "target": table, ["mode": insert-only], "key": [name], "columns": [name], "idempotency_key" }
 *   merge stats      { "inserted", "matched", ["remote_id"] }
 *   cleanup target   { "run": token } | { "chunk": [token, { "index", "fence" }] } |
 *                    { "orphans": { "location", "keep": [run_id] } }
 *   cleanup report   { "removed": [url], "skipped": [{ "location", "reason", ["hint"] }] }
 *   credential       { "target": { "table": table } | { "path": url }, "operation": read | read-write }
 *   request
 *   credentials      { "cloud": { "kind": aws, "access_key_id", "secret_access_key", ["session_token"], ["region"],
 *                    ["endpoint"] } | { "kind": azure-sas, "sas" } | { "kind": gcp, "token" }, ["expires_at_ms"],
 *                    ["location"] }
 *   token request    { "server", "scope", ["resource"], ["authorization_details"] }
 *   token            { "bearer", ["expires_at_ms"] }
 *   check report     { "items": [{ "name", "verdict": passed | warning | failed | skipped, ["code"], ["message"],
 *                    ["hint"] }] }
 */

/* ------------------------------------------------------------------------ text, status, completion */
/* Borrowed UTF-8 text or bytes. Valid for the call it is given to, unless said otherwise. Null with length 0 is empty. */
typedef struct lakefeed_str {
    /* The first byte. */
    const uint8_t *ptr;
    /* How many bytes there are. */
    size_t len;
} lakefeed_str;

/* Owned bytes. The receiver reads them and calls `release` exactly once; only whoever made them frees them. */
typedef struct lakefeed_bytes {
    /* The first byte; may be null if `len` is 0. */
    uint8_t *ptr;
    /* How many bytes there are. */
    size_t len;
    /* The maker's note on the allocation; of no meaning to the receiver. */
    size_t cap;
    /* Frees the bytes, given the three fields above; null if there is nothing to free. */
    void (*release)(uint8_t *ptr, size_t len, size_t cap);
} lakefeed_bytes;

/* The call did what it was asked. */
#define LAKEFEED_STATUS_OK 0u
/* The call failed; the other fields say how. */
#define LAKEFEED_STATUS_ERROR 1u
/* The call was cancelled. */
#define LAKEFEED_STATUS_CANCELLED 2u
/* The plugin panicked; its instance answers nothing but `destroy` from now on. */
#define LAKEFEED_STATUS_PANIC 3u
/* In `lakefeed_status.flags`: the call may have taken effect although it failed. */
#define LAKEFEED_STATUS_OUTCOME_UNKNOWN 1u
/* In `lakefeed_refusal.row`: the row is not known. */
#define LAKEFEED_ROW_UNKNOWN UINT64_MAX
/* One change that the target refuses. Borrowed, like the status or the ack that it is part of. */
typedef struct lakefeed_refusal {
    /* Position of the change in the batch, from 0. */
    uint64_t change;
    /* The row at fault, from 0 over the whole batch, or `LAKEFEED_ROW_UNKNOWN`. */
    uint64_t row;
    /* The column at fault; may be empty. */
    lakefeed_str column;
    /* A stable code. */
    lakefeed_str code;
    /* The reason; may quote the value, so it goes to the dead-letter store only. */
    lakefeed_str message;
} lakefeed_refusal;

/* How a call ended. Borrowed: valid until the function it is given to returns.
 *
 * `category` and `retry` are numbers of the lists in the header. A number that the receiver does not know is read as
 * *internal* and *backoff*. */
typedef struct lakefeed_status {
    /* `sizeof` this struct, as its maker knows it. */
    uint32_t size;
    /* One of the `LAKEFEED_STATUS_` numbers; an unknown one is an error. */
    uint32_t status;
    /* What went wrong. */
    uint32_t category;
    /* What helps. */
    uint32_t retry;
    /* How long to wait first, in milliseconds. */
    uint64_t retry_after_ms;
    /* Bits; unknown ones are ignored. */
    uint32_t flags;
    /* A remote status such as HTTP's; 0 for none. */
    uint32_t remote_status;
    /* A stable code of the plugin's own. */
    lakefeed_str code;
    /* What is wrong; may be logged. */
    lakefeed_str message;
    /* Free text that may quote rows; never logged. */
    lakefeed_str detail;
    /* What the operator can do. */
    lakefeed_str hint;
    /* The remote server's own code. */
    lakefeed_str remote_code;
    /* The remote server's name for the request. */
    lakefeed_str request_id;
    /* The changes at fault; may be null if `refused_len` is 0. */
    const lakefeed_refusal *refused;
    /* How many there are. */
    size_t refused_len;
    /* Zero. */
    uint64_t reserved[4];
} lakefeed_status;

/* Where a call's end is to be told.
 *
 * `done` is called **exactly once**, on any thread, also after `cancel`, also before the function that was given the
 * completion has returned. The status is never null. The result is null unless the status is `LAKEFEED_STATUS_OK` and the call
 * has a result; both are borrowed, valid until `done` returns. `done` does not block and does not unwind. */
typedef struct lakefeed_completion {
    /* Handed back to `done`; of no meaning to the callee. */
    void *ctx;
    /* Tells the end. */
    void (*done)(void *ctx, const lakefeed_status *status, const void *result);
} lakefeed_completion;

/* A result that is a document: UTF-8 JSON, described with the call in the header. Members that the receiver does not
 * know are ignored; absent ones have the default that is written there. */
typedef struct lakefeed_document {
    /* `sizeof` this struct, as its maker knows it. */
    uint32_t size;
    /* Zero. */
    uint32_t reserved;
    /* The document. */
    lakefeed_str json;
} lakefeed_document;

/* ------------------------------------------------------------------------ the Arrow C data interface */

/* The two structs of the Arrow C data interface, as Arrow has frozen them.
 *
 * Declared here so that a plugin and the host may be built with different versions of any Arrow library. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

/* A type with its name and children (`struct ArrowSchema`). */
struct ArrowSchema {
    /* The type, as Arrow writes it. */
    const char *format;
    /* The field's name; may be null. */
    const char *name;
    /* Encoded key and value pairs; may be null. */
    const char *metadata;
    /* Arrow's flags. */
    int64_t flags;
    /* How many children there are. */
    int64_t n_children;
    /* The children. */
    struct ArrowSchema **children;
    /* The dictionary's values; null without one. */
    struct ArrowSchema *dictionary;
    /* Frees what the struct holds; null once moved or released. */
    void (*release)(struct ArrowSchema *schema);
    /* The maker's own. */
    void *private_data;
};

/* A column, or a batch as a struct column (`struct ArrowArray`). */
struct ArrowArray {
    /* How many values there are. */
    int64_t length;
    /* How many are null, or -1. */
    int64_t null_count;
    /* How many values of the buffers precede the first. */
    int64_t offset;
    /* How many buffers there are. */
    int64_t n_buffers;
    /* How many children there are. */
    int64_t n_children;
    /* The buffers. */
    const void **buffers;
    /* The children. */
    struct ArrowArray **children;
    /* The dictionary's values; null without one. */
    struct ArrowArray *dictionary;
    /* Frees what the struct holds; null once moved or released. */
    void (*release)(struct ArrowArray *array);
    /* The maker's own. */
    void *private_data;
};

#endif

/* ------------------------------------------------------------------------ the entry, instances, operations */
/* The major version of the contract. */
#define LAKEFEED_ABI_MAJOR 1u
/* The minor version. Informational: abilities are found by asking for interfaces. */
#define LAKEFEED_ABI_MINOR 0u
/* The first field of a descriptor: `LAKEFEED` in ASCII, most significant byte first. */
#define LAKEFEED_MAGIC UINT64_C(0x4C414B4546454544)
/* The layout number of `lakefeed_host_info` and `lakefeed_descriptor`. 1: the first. */
#define LAKEFEED_LAYOUT_ENTRY 1u
/* In `lakefeed_descriptor.flags`: a panic ends the process, so the library is not loaded into the host's. */
#define LAKEFEED_FLAG_PANIC_ABORT 1u
/* In `lakefeed_descriptor.flags`: functions may block; the host calls them from threads that may. */
#define LAKEFEED_FLAG_BLOCKING_CALLS 2u
/* In `lakefeed_descriptor.flags`: one instance a process. */
#define LAKEFEED_FLAG_SINGLE_INSTANCE 4u
/* In `lakefeed_descriptor.flags`: wants a process of its own. */
#define LAKEFEED_FLAG_NEEDS_PROCESS 8u
/* What the host says of itself. Valid until the process ends. */
typedef struct lakefeed_host_info {
    /* `sizeof` this struct, as the host knows it. */
    uint32_t size;
    /* The host's `LAKEFEED_LAYOUT_ENTRY`. */
    uint32_t layout;
    /* The major version that the host speaks. */
    uint32_t abi_major;
    /* The minor version that the host speaks. */
    uint32_t abi_minor;
    /* How many worker threads the plugin's runtime should have. */
    uint32_t worker_threads;
    /* Zero. */
    uint32_t flags;
    /* The host's version. */
    lakefeed_str host_version;
    /* Zero. */
    uint64_t reserved[4];
} lakefeed_host_info;

/* What a plugin says of itself. Valid until the process ends. */
typedef struct lakefeed_descriptor {
    /* `LAKEFEED_MAGIC`. */
    uint64_t magic;
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* The plugin's `LAKEFEED_LAYOUT_ENTRY`. */
    uint32_t layout;
    /* The major version that the plugin speaks. */
    uint32_t abi_major;
    /* The minor version that the plugin speaks. */
    uint32_t abi_minor;
    /* The `LAKEFEED_FLAG_` bits; unknown ones are ignored. */
    uint32_t flags;
    /* Zero. */
    uint32_t reserved0;
    /* The plugin's name. */
    lakefeed_str name;
    /* The plugin's version, as semver. */
    lakefeed_str version;
    /* Who answers for it. */
    lakefeed_str vendor;
    /* Its licence. */
    lakefeed_str license;
    /* The SDK that it was made with, and the SDK's version; may be empty. */
    lakefeed_str sdk;
    /* The compiler that it was made with; may be empty. */
    lakefeed_str compiler;
    /* The target that it was made for; may be empty. */
    lakefeed_str target;
    /* JSON Schema of its parameters. */
    lakefeed_str parameters;
    /* An interface's id to its table, valid until the process ends; null if the plugin does not have it. */
    const void *(*get_interface)(lakefeed_str id);
    /* The process is about to end: stop threads within so many milliseconds. No call follows. */
    void (*shutdown)(uint64_t deadline_ms);
    /* Zero. */
    uint64_t reserved[4];
} lakefeed_descriptor;

/* One instance's host: how the plugin asks for services. Valid until `destroy` has completed. */
typedef struct lakefeed_host {
    /* `sizeof` this struct, as the host knows it. */
    uint32_t size;
    /* The host's `LAKEFEED_LAYOUT_INSTANCE`. */
    uint32_t layout;
    /* The first argument of every service function. */
    void *ctx;
    /* A service's id to its table, valid as long as this struct; null if the host does not lend it. */
    const void *(*get_service)(void *ctx, lakefeed_str id);
    /* Zero. */
    uint64_t reserved[4];
} lakefeed_host;

/* A plugin's instance, opaque to the host. */
typedef struct lakefeed_instance lakefeed_instance;

/* A call under way, opaque to the host. */
typedef struct lakefeed_op lakefeed_op;

/* The id of `lakefeed_instance_table`, which every plugin has. */
#define LAKEFEED_INTERFACE_INSTANCE "lakefeed.instance/0"
/* The layout number of `lakefeed_instance_table` and `lakefeed_host`. 1: the first. */
#define LAKEFEED_LAYOUT_INSTANCE 1u
/* Making, cancelling, freeing (`lakefeed.instance/0`). */
typedef struct lakefeed_instance_table {
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* The plugin's `LAKEFEED_LAYOUT_INSTANCE`. */
    uint32_t layout;
    /* Makes an instance of these parameters (a JSON object). Completes before it returns. The result is the
     * instance: an `lakefeed_instance*`, owned by the host until `destroy`. */
    void (*create)(lakefeed_str config, const lakefeed_host *host, lakefeed_completion completion);
    /* Ends an instance. Completes when its calls have ended, its memory is free, and it will not use its host again.
     * No result. Calls that are under way are cancelled first. */
    void (*destroy)(lakefeed_instance *instance, lakefeed_completion completion);
    /* Asks a call to end soon. May be called any number of times, on any thread, until `op_free`. */
    void (*cancel)(lakefeed_op *op);
    /* Frees a call's handle, once, in any order with its completion. Does not cancel. */
    void (*op_free)(lakefeed_op *op);
    /* Zero. */
    uint64_t reserved[4];
} lakefeed_instance_table;

/* ------------------------------------------------------------------------ what plugins offer */

/* What plugins offer: one table of functions for each ability.
 *
 * Every function that takes an `lakefeed_completion` and returns an `lakefeed_op` starts a call: it returns within a
 * millisecond, and the completion tells the end. The handle is null if the call ended before the function returned
 * and there is nothing to free. Text, metadata and tokens given to such a function are borrowed until it returns;
 * arrays and schemas are *moved*: the callee takes what they hold and sets their `release` to null, whether the call
 * succeeds or not.
 *
 * Documents are JSON, in the shapes that the header gives. Each table begins with its size and its layout number. */
/* The id of `lakefeed_writer_table`. */
#define LAKEFEED_INTERFACE_WRITER "lakefeed.writer/0"
/* The id of `lakefeed_flush_table`. */
#define LAKEFEED_INTERFACE_FLUSH "lakefeed.writer.flush/0"
/* The id of `lakefeed_merge_table`. */
#define LAKEFEED_INTERFACE_MERGE "lakefeed.merge/0"
/* The id of `lakefeed_table_admin_table`. */
#define LAKEFEED_INTERFACE_TABLE_ADMIN "lakefeed.table-admin/0"
/* The id of `lakefeed_credentials_table`. */
#define LAKEFEED_INTERFACE_CREDENTIALS "lakefeed.credentials/0"
/* The id of `lakefeed_stager_table`. */
#define LAKEFEED_INTERFACE_STAGER "lakefeed.stager/0"
/* The id of `lakefeed_schema_mapper_table`. */
#define LAKEFEED_INTERFACE_SCHEMA_MAPPER "lakefeed.schema-mapper/0"
/* The id of `lakefeed_coerce_table`. */
#define LAKEFEED_INTERFACE_COERCE "lakefeed.schema-mapper.coerce/0"
/* The id of `lakefeed_check_table`. */
#define LAKEFEED_INTERFACE_CHECK "lakefeed.check/0"
/* The layout number of `lakefeed_writer_table`, `lakefeed_batch_meta`, `lakefeed_writer_profile`, `lakefeed_write_ack`. 1: the first. */
#define LAKEFEED_LAYOUT_WRITER 1u
/* The layout number of `lakefeed_flush_table`. 1: the first. */
#define LAKEFEED_LAYOUT_FLUSH 1u
/* The layout number of `lakefeed_merge_table`. 1: the first. */
#define LAKEFEED_LAYOUT_MERGE 1u
/* The layout number of `lakefeed_table_admin_table`. 1: the first. */
#define LAKEFEED_LAYOUT_TABLE_ADMIN 1u
/* The layout number of `lakefeed_credentials_table`. 1: the first. */
#define LAKEFEED_LAYOUT_CREDENTIALS 1u
/* The layout number of `lakefeed_stager_table` and `lakefeed_chunk`. 1: the first. */
#define LAKEFEED_LAYOUT_STAGER 1u
/* The layout number of `lakefeed_schema_mapper_table`. 1: the first. */
#define LAKEFEED_LAYOUT_SCHEMA_MAPPER 1u
/* The layout number of `lakefeed_coerce_table` and `lakefeed_arrow_batch`. 1: the first. */
#define LAKEFEED_LAYOUT_COERCE 1u
/* The layout number of `lakefeed_check_table`. 1: the first. */
#define LAKEFEED_LAYOUT_CHECK 1u
/* What a batch is. Borrowed until the function it is given to returns. */
typedef struct lakefeed_batch_meta {
    /* `sizeof` this struct, as the host knows it. */
    uint32_t size;
    /* How often the batch has been offered, from 1. */
    uint32_t attempt;
    /* Where the changes come from: 1 live, 2 initial export. */
    uint32_t source;
    /* Which schema the array has. */
    uint32_t schema_id;
    /* The destination's generation. */
    uint64_t generation;
    /* The batch's number, strictly growing within a generation. */
    uint64_t batch_number;
    /* Offset of the first change in the change log. */
    uint64_t first_offset;
    /* Offset of the last change in the change log. */
    uint64_t last_offset;
    /* How long the host waits, in milliseconds; 0 for no limit. */
    uint64_t deadline_ms;
    /* The row with which each change begins, ascending from 0. */
    const uint64_t *change_starts;
    /* How many changes there are. */
    size_t changes;
    /* The destination's id. */
    lakefeed_str destination;
    /* Names the batch over all attempts. */
    lakefeed_str idempotency_key;
    /* The W3C trace context; may be empty. */
    lakefeed_str traceparent;
    /* Zero. */
    uint64_t reserved[4];
} lakefeed_batch_meta;

/* In `lakefeed_writer_profile.flags`: repeating a batch leaves no second copy. */
#define LAKEFEED_PROFILE_IDEMPOTENT 1u
/* In `lakefeed_writer_profile.flags`: refusals name the change at fault. */
#define LAKEFEED_PROFILE_ROW_ERRORS 2u
/* In `lakefeed_writer_profile.flags`: columns may be lists. */
#define LAKEFEED_PROFILE_NESTED 4u
/* What a writer can do and likes: the result of `open`. */
typedef struct lakefeed_writer_profile {
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* How many writes may be under way together; 0 is read as 1. */
    uint32_t max_in_flight;
    /* The order that must be kept: 1 none, 2 per key, 3 total. An unknown one is read as total. */
    uint32_t ordering;
    /* When a batch is safe: 1 on return, 2 by watermark. An unknown one is read as on return. */
    uint32_t ack_mode;
    /* The `LAKEFEED_PROFILE_` bits; unknown ones are ignored. */
    uint32_t flags;
    /* Zero. */
    uint32_t reserved0;
    /* A good number of rows. */
    uint64_t preferred_rows;
    /* A good number of bytes, in memory. */
    uint64_t preferred_bytes;
    /* The number of bytes past which a batch is refused; 0 for no limit. */
    uint64_t max_bytes;
    /* Zero. */
    uint64_t reserved[4];
} lakefeed_writer_profile;

/* In `lakefeed_write_ack.durability`: safe. */
#define LAKEFEED_DURABILITY_DURABLE 1u
/* In `lakefeed_write_ack.durability`: taken, and not yet safe. An unknown number is read as this. */
#define LAKEFEED_DURABILITY_ACCEPTED 2u
/* What became of a batch: the result of `write`. */
typedef struct lakefeed_write_ack {
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* One of the `LAKEFEED_DURABILITY_` numbers. */
    uint32_t durability;
    /* How many changes, from the first, are done with. */
    uint64_t durable_prefix;
    /* How many rows were written. */
    uint64_t rows;
    /* How many bytes went out. */
    uint64_t bytes;
    /* The target's name for this write; may be empty. */
    lakefeed_str remote_id;
    /* Changes of the prefix that the target refused; may be null if `refused_len` is 0. */
    const lakefeed_refusal *refused;
    /* How many there are. */
    size_t refused_len;
    /* Zero. */
    uint64_t reserved[4];
} lakefeed_write_ack;

/* Appending rows to one table (`lakefeed.writer/0`). */
typedef struct lakefeed_writer_table {
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* The plugin's `LAKEFEED_LAYOUT_WRITER`. */
    uint32_t layout;
    /* Makes ready. `table` is a table document; the schema is moved. The result is an `lakefeed_writer_profile`. */
    lakefeed_op *(*open)(
        lakefeed_instance *instance,
        lakefeed_str table,
        struct ArrowSchema *schema,
        uint32_t schema_id,
        lakefeed_completion completion);
    /* Writes a batch. The array is moved and has the schema that `meta` names. The result is an `lakefeed_write_ack`. */
    lakefeed_op *(*write)(
        lakefeed_instance *instance,
        struct ArrowArray *array,
        const lakefeed_batch_meta *meta,
        lakefeed_completion completion);
    /* Takes up another schema, which is moved. No result. */
    lakefeed_op *(*evolve)(
        lakefeed_instance *instance,
        struct ArrowSchema *schema,
        uint32_t schema_id,
        lakefeed_completion completion);
    /* Ends the work. No result. */
    lakefeed_op *(*close)(
        lakefeed_instance *instance,
        uint64_t deadline_ms,
        lakefeed_completion completion);
    /* Zero. */
    uint64_t reserved[4];
} lakefeed_writer_table;

/* Making durable what was accepted (`lakefeed.writer.flush/0`). */
typedef struct lakefeed_flush_table {
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* The plugin's `LAKEFEED_LAYOUT_FLUSH`. */
    uint32_t layout;
    /* Makes durable what was accepted before. The result is a `u64`: the batch number up to which all is durable. */
    lakefeed_op *(*flush)(
        lakefeed_instance *instance,
        uint64_t deadline_ms,
        lakefeed_completion completion);
    /* Zero. */
    uint64_t reserved[2];
} lakefeed_flush_table;

/* Moving staged rows into their table (`lakefeed.merge/0`). */
typedef struct lakefeed_merge_table {
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* The plugin's `LAKEFEED_LAYOUT_MERGE`. */
    uint32_t layout;
    /* Merges the staged set as the spec says. The result is a merge-stats document. */
    lakefeed_op *(*merge)(
        lakefeed_instance *instance,
        lakefeed_str staged,
        lakefeed_str spec,
        lakefeed_completion completion);
    /* Zero. */
    uint64_t reserved[2];
} lakefeed_merge_table;

/* Describing, changing, creating and dropping tables (`lakefeed.table-admin/0`). */
typedef struct lakefeed_table_admin_table {
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* The plugin's `LAKEFEED_LAYOUT_TABLE_ADMIN`. */
    uint32_t layout;
    /* What the table has. The result is a table-schema document. */
    lakefeed_op *(*describe)(
        lakefeed_instance *instance,
        lakefeed_str table,
        lakefeed_completion completion);
    /* Adds a plan's columns. The result is an applied document. */
    lakefeed_op *(*apply)(lakefeed_instance *instance, lakefeed_str plan, lakefeed_completion completion);
    /* Makes a table. The result is an applied document. */
    lakefeed_op *(*create)(lakefeed_instance *instance, lakefeed_str spec, lakefeed_completion completion);
    /* Drops a table. No result. */
    lakefeed_op *(*drop_table)(
        lakefeed_instance *instance,
        lakefeed_str table,
        lakefeed_completion completion);
    /* Zero. */
    uint64_t reserved[4];
} lakefeed_table_admin_table;

/* Handing out credentials for storage (`lakefeed.credentials/0`). */
typedef struct lakefeed_credentials_table {
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* The plugin's `LAKEFEED_LAYOUT_CREDENTIALS`. */
    uint32_t layout;
    /* Credentials for a target. The result is a credentials document. */
    lakefeed_op *(*vend)(
        lakefeed_instance *instance,
        lakefeed_str request,
        lakefeed_completion completion);
    /* Zero. */
    uint64_t reserved[2];
} lakefeed_credentials_table;

/* One attempt at one chunk of an export. */
typedef struct lakefeed_chunk {
    /* Which attempt, growing. */
    uint64_t fence;
    /* Which chunk, from 0. */
    uint32_t index;
    /* Zero. */
    uint32_t reserved;
} lakefeed_chunk;

/* Bulk staging (`lakefeed.stager/0`). */
typedef struct lakefeed_stager_table {
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* The plugin's `LAKEFEED_LAYOUT_STAGER`. */
    uint32_t layout;
    /* Prepares the place. The result is a begun document, with the token. */
    lakefeed_op *(*begin)(lakefeed_instance *instance, lakefeed_str spec, lakefeed_completion completion);
    /* Adds rows to a chunk. Array and schema are moved. No result. */
    lakefeed_op *(*append)(
        lakefeed_instance *instance,
        lakefeed_str token,
        lakefeed_chunk chunk,
        struct ArrowArray *array,
        struct ArrowSchema *schema,
        lakefeed_completion completion);
    /* Makes a chunk durable. The schema is moved. The result is a chunk-receipt document. */
    lakefeed_op *(*finish_chunk)(
        lakefeed_instance *instance,
        lakefeed_str token,
        lakefeed_chunk chunk,
        struct ArrowSchema *schema,
        lakefeed_completion completion);
    /* Says what is to be merged; `receipts` is an array of chunk receipts. The result is a staged-set document. */
    lakefeed_op *(*commit)(
        lakefeed_instance *instance,
        lakefeed_str token,
        lakefeed_str receipts,
        lakefeed_completion completion);
    /* Removes staged files. The result is a cleanup-report document. */
    lakefeed_op *(*cleanup)(
        lakefeed_instance *instance,
        lakefeed_str target,
        lakefeed_completion completion);
    /* Zero. */
    uint64_t reserved[4];
} lakefeed_stager_table;

/* Choosing types and planning changes (`lakefeed.schema-mapper/0`). Both functions complete before they return. */
typedef struct lakefeed_schema_mapper_table {
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* The plugin's `LAKEFEED_LAYOUT_SCHEMA_MAPPER`. */
    uint32_t layout;
    /* Types for a view's columns. The result is a mapped-schema document. */
    void (*map)(lakefeed_instance *instance, lakefeed_str view, lakefeed_completion completion);
    /* What must change in a table. The result is an evolution-plan document. */
    void (*plan)(
        lakefeed_instance *instance,
        lakefeed_str have,
        lakefeed_str want,
        lakefeed_completion completion);
    /* Zero. */
    uint64_t reserved[2];
} lakefeed_schema_mapper_table;

/* A batch with its schema, as a result: the receiver moves both out before `done` returns. */
typedef struct lakefeed_arrow_batch {
    /* `sizeof` this struct, as its maker knows it. */
    uint32_t size;
    /* Zero. */
    uint32_t reserved;
    /* The rows, as a struct column. */
    struct ArrowArray *array;
    /* Their schema. */
    struct ArrowSchema *schema;
} lakefeed_arrow_batch;

/* A vendor's own conversions (`lakefeed.schema-mapper.coerce/0`). Completes before it returns. */
typedef struct lakefeed_coerce_table {
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* The plugin's `LAKEFEED_LAYOUT_COERCE`. */
    uint32_t layout;
    /* Converts a batch for a writer's profile. Array and schema are moved. The result is an `lakefeed_arrow_batch`. */
    void (*coerce)(
        lakefeed_instance *instance,
        struct ArrowArray *array,
        struct ArrowSchema *schema,
        lakefeed_str profile,
        lakefeed_completion completion);
    /* Zero. */
    uint64_t reserved[2];
} lakefeed_coerce_table;

/* A preflight (`lakefeed.check/0`). */
typedef struct lakefeed_check_table {
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* The plugin's `LAKEFEED_LAYOUT_CHECK`. */
    uint32_t layout;
    /* Answers every question up to the level: 1 config, 2 connect, 3 permissions, 4 write probe. An unknown level is
     * read as config. The result is a check-report document. */
    lakefeed_op *(*check)(lakefeed_instance *instance, uint32_t level, lakefeed_completion completion);
    /* Zero. */
    uint64_t reserved[2];
} lakefeed_check_table;

/* ------------------------------------------------------------------------ what the host lends */

/* What the host lends an instance: one table of functions for each service.
 *
 * The first argument is always `lakefeed_host.ctx`. Functions may be called on any thread until the
 * instance's `destroy` has completed, except from inside an Arrow `release`. None of them blocks or unwinds. */
/* The id of `lakefeed_host_log`. */
#define LAKEFEED_SERVICE_LOG "lakefeed.host.log/0"
/* The id of `lakefeed_host_metrics`. */
#define LAKEFEED_SERVICE_METRICS "lakefeed.host.metrics/0"
/* The id of `lakefeed_host_secrets`. */
#define LAKEFEED_SERVICE_SECRETS "lakefeed.host.secrets/0"
/* The id of `lakefeed_host_token`. */
#define LAKEFEED_SERVICE_TOKEN "lakefeed.host.token/0"
/* The id of `lakefeed_host_credentials`. */
#define LAKEFEED_SERVICE_CREDENTIALS "lakefeed.host.credentials/0"
/* The id of `lakefeed_host_ack`. */
#define LAKEFEED_SERVICE_ACK "lakefeed.host.ack/0"
/* The id of `lakefeed_host_state`. */
#define LAKEFEED_SERVICE_STATE "lakefeed.host.state/0"
/* The layout number of `lakefeed_host_log` and `lakefeed_log_record`. 1: the first. */
#define LAKEFEED_LAYOUT_HOST_LOG 1u
/* The layout number of `lakefeed_host_metrics`. 1: the first. */
#define LAKEFEED_LAYOUT_HOST_METRICS 1u
/* The layout number of `lakefeed_host_secrets`. 1: the first. */
#define LAKEFEED_LAYOUT_HOST_SECRETS 1u
/* The layout number of `lakefeed_host_token`. 1: the first. */
#define LAKEFEED_LAYOUT_HOST_TOKEN 1u
/* The layout number of `lakefeed_host_credentials`. 1: the first. */
#define LAKEFEED_LAYOUT_HOST_CREDENTIALS 1u
/* The layout number of `lakefeed_host_ack`. 1: the first. */
#define LAKEFEED_LAYOUT_HOST_ACK 1u
/* The layout number of `lakefeed_host_state`. 1: the first. */
#define LAKEFEED_LAYOUT_HOST_STATE 1u
/* One log event. Borrowed until `log` returns. */
typedef struct lakefeed_log_record {
    /* `sizeof` this struct, as the plugin knows it. */
    uint32_t size;
    /* 1 error, 2 warn, 3 info, 4 debug, 5 trace. An unknown level is read as trace. */
    uint32_t level;
    /* The part of the plugin that speaks. */
    lakefeed_str target;
    /* What it says. */
    lakefeed_str message;
    /* A JSON object of fields; may be empty. */
    lakefeed_str fields;
    /* The W3C trace context; may be empty. */
    lakefeed_str traceparent;
} lakefeed_log_record;

/* Logging (`lakefeed.host.log/0`). */
typedef struct lakefeed_host_log {
    /* `sizeof` this struct, as the host knows it. */
    uint32_t size;
    /* The host's `LAKEFEED_LAYOUT_HOST_LOG`. */
    uint32_t layout;
    /* Takes an event. */
    void (*log)(void *ctx, const lakefeed_log_record *record);
    /* The least important level that is wanted now; 0 for none. Cheap, and may change at any time. */
    uint32_t (*max_level)(void *ctx);
    /* Zero. */
    uint64_t reserved[2];
} lakefeed_host_log;

/* Metrics (`lakefeed.host.metrics/0`). */
typedef struct lakefeed_host_metrics {
    /* `sizeof` this struct, as the host knows it. */
    uint32_t size;
    /* The host's `LAKEFEED_LAYOUT_HOST_METRICS`. */
    uint32_t layout;
    /* Names a metric, once: kind 1 counter, 2 gauge, 3 histogram; `labels` is a JSON object of texts or empty. Returns
     * its id, or 0 if the host will not keep it; recording to 0 does nothing. */
    uint64_t (*define)(
        void *ctx,
        uint32_t kind,
        lakefeed_str name,
        lakefeed_str help,
        lakefeed_str labels);
    /* Adds to a counter, sets a gauge, observes a histogram. */
    void (*record)(void *ctx, uint64_t id, double value);
    /* Zero. */
    uint64_t reserved[2];
} lakefeed_host_metrics;

/* The answer of `lakefeed_host_secrets.get`: found. */
#define LAKEFEED_SECRET_FOUND 0u
/* The answer of `lakefeed_host_secrets.get`: this instance has no such secret. */
#define LAKEFEED_SECRET_UNKNOWN 1u
/* The answer of `lakefeed_host_secrets.get`: it is named, and cannot be read now. */
#define LAKEFEED_SECRET_UNREADABLE 2u
/* Secrets (`lakefeed.host.secrets/0`). */
typedef struct lakefeed_host_secrets {
    /* `sizeof` this struct, as the host knows it. */
    uint32_t size;
    /* The host's `LAKEFEED_LAYOUT_HOST_SECRETS`. */
    uint32_t layout;
    /* The secret that this instance's parameter `name` refers to. Writes `out` if, and only if, it answers
     * `LAKEFEED_SECRET_FOUND`; the plugin then releases it. Unknown answers are failures. */
    uint32_t (*get)(void *ctx, lakefeed_str name, lakefeed_bytes *out);
    /* Zero. */
    uint64_t reserved[2];
} lakefeed_host_secrets;

/* OAuth tokens (`lakefeed.host.token/0`), fetched once for all who ask and kept until shortly before they run out. */
typedef struct lakefeed_host_token {
    /* `sizeof` this struct, as the host knows it. */
    uint32_t size;
    /* The host's `LAKEFEED_LAYOUT_HOST_TOKEN`. */
    uint32_t layout;
    /* A token for a token-request document. The result is a token document. */
    void (*token)(void *ctx, lakefeed_str request, lakefeed_completion completion);
    /* Forgets the token of a request: the target has refused it. */
    void (*invalidate)(void *ctx, lakefeed_str request);
    /* Zero. */
    uint64_t reserved[2];
} lakefeed_host_token;

/* Credentials for storage (`lakefeed.host.credentials/0`), from the destination's vendor or the configuration. */
typedef struct lakefeed_host_credentials {
    /* `sizeof` this struct, as the host knows it. */
    uint32_t size;
    /* The host's `LAKEFEED_LAYOUT_HOST_CREDENTIALS`. */
    uint32_t layout;
    /* Credentials for a credential-request document. The result is a credentials document. */
    void (*vend)(void *ctx, lakefeed_str request, lakefeed_completion completion);
    /* Zero. */
    uint64_t reserved[2];
} lakefeed_host_credentials;

/* Late acks (`lakefeed.host.ack/0`), for writers that acknowledge by watermark. */
typedef struct lakefeed_host_ack {
    /* `sizeof` this struct, as the host knows it. */
    uint32_t size;
    /* The host's `LAKEFEED_LAYOUT_HOST_ACK`. */
    uint32_t layout;
    /* Every batch up to this number, and including it, is durable. Lower numbers than before are ignored. */
    void (*ack)(void *ctx, uint64_t batch_number);
    /* Zero. */
    uint64_t reserved[2];
} lakefeed_host_ack;

/* A small durable state for each destination (`lakefeed.host.state/0`). */
typedef struct lakefeed_host_state {
    /* `sizeof` this struct, as the host knows it. */
    uint32_t size;
    /* The host's `LAKEFEED_LAYOUT_HOST_STATE`. */
    uint32_t layout;
    /* What was put under the key. The result is an `lakefeed_str` of bytes; null if there is nothing. */
    void (*get)(void *ctx, lakefeed_str key, lakefeed_completion completion);
    /* Keeps at most 64 KiB under the key, durable when it completes; empty removes. No result. */
    void (*put)(void *ctx, lakefeed_str key, lakefeed_str value, lakefeed_completion completion);
    /* Zero. */
    uint64_t reserved[2];
} lakefeed_host_state;

/* ------------------------------------------------------------------------ the entry */

/* The mandatory symbol. Called once; what it returns is valid until the process ends. Null refuses this host. */
const lakefeed_descriptor *lakefeed_plugin_entry_v1(const lakefeed_host_info *host);

/* ------------------------------------------------------------------------ sizes and offsets, 64 bits */

#if UINTPTR_MAX == UINT64_MAX
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_str) == 16, "lakefeed_str has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_str, len) == 8, "lakefeed_str.len lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_bytes) == 32, "lakefeed_bytes has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_bytes, release) == 24, "lakefeed_bytes.release lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_refusal) == 64, "lakefeed_refusal has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_refusal, message) == 48, "lakefeed_refusal.message lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_status) == 176, "lakefeed_status has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_status, reserved) == 144, "lakefeed_status.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_completion) == 16, "lakefeed_completion has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_completion, done) == 8, "lakefeed_completion.done lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_document) == 24, "lakefeed_document has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_document, json) == 8, "lakefeed_document.json lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(struct ArrowSchema) == 72, "struct ArrowSchema has another size");
LAKEFEED_STATIC_ASSERT(offsetof(struct ArrowSchema, private_data) == 64, "struct ArrowSchema.private_data lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(struct ArrowArray) == 80, "struct ArrowArray has another size");
LAKEFEED_STATIC_ASSERT(offsetof(struct ArrowArray, private_data) == 72, "struct ArrowArray.private_data lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_host_info) == 72, "lakefeed_host_info has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_host_info, reserved) == 40, "lakefeed_host_info.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_descriptor) == 208, "lakefeed_descriptor has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_descriptor, reserved) == 176, "lakefeed_descriptor.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_host) == 56, "lakefeed_host has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_host, reserved) == 24, "lakefeed_host.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_instance_table) == 72, "lakefeed_instance_table has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_instance_table, reserved) == 40, "lakefeed_instance_table.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_batch_meta) == 152, "lakefeed_batch_meta has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_batch_meta, reserved) == 120, "lakefeed_batch_meta.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_writer_profile) == 80, "lakefeed_writer_profile has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_writer_profile, reserved) == 48, "lakefeed_writer_profile.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_write_ack) == 96, "lakefeed_write_ack has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_write_ack, reserved) == 64, "lakefeed_write_ack.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_writer_table) == 72, "lakefeed_writer_table has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_writer_table, reserved) == 40, "lakefeed_writer_table.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_flush_table) == 32, "lakefeed_flush_table has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_flush_table, reserved) == 16, "lakefeed_flush_table.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_merge_table) == 32, "lakefeed_merge_table has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_merge_table, reserved) == 16, "lakefeed_merge_table.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_table_admin_table) == 72, "lakefeed_table_admin_table has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_table_admin_table, reserved) == 40, "lakefeed_table_admin_table.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_credentials_table) == 32, "lakefeed_credentials_table has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_credentials_table, reserved) == 16, "lakefeed_credentials_table.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_chunk) == 16, "lakefeed_chunk has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_chunk, reserved) == 12, "lakefeed_chunk.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_stager_table) == 80, "lakefeed_stager_table has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_stager_table, reserved) == 48, "lakefeed_stager_table.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_schema_mapper_table) == 40, "lakefeed_schema_mapper_table has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_schema_mapper_table, reserved) == 24, "lakefeed_schema_mapper_table.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_arrow_batch) == 24, "lakefeed_arrow_batch has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_arrow_batch, schema) == 16, "lakefeed_arrow_batch.schema lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_coerce_table) == 32, "lakefeed_coerce_table has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_coerce_table, reserved) == 16, "lakefeed_coerce_table.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_check_table) == 32, "lakefeed_check_table has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_check_table, reserved) == 16, "lakefeed_check_table.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_log_record) == 72, "lakefeed_log_record has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_log_record, traceparent) == 56, "lakefeed_log_record.traceparent lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_host_log) == 40, "lakefeed_host_log has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_host_log, reserved) == 24, "lakefeed_host_log.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_host_metrics) == 40, "lakefeed_host_metrics has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_host_metrics, reserved) == 24, "lakefeed_host_metrics.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_host_secrets) == 32, "lakefeed_host_secrets has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_host_secrets, reserved) == 16, "lakefeed_host_secrets.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_host_token) == 40, "lakefeed_host_token has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_host_token, reserved) == 24, "lakefeed_host_token.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_host_credentials) == 32, "lakefeed_host_credentials has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_host_credentials, reserved) == 16, "lakefeed_host_credentials.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_host_ack) == 32, "lakefeed_host_ack has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_host_ack, reserved) == 16, "lakefeed_host_ack.reserved lies elsewhere");
LAKEFEED_STATIC_ASSERT(sizeof(lakefeed_host_state) == 40, "lakefeed_host_state has another size");
LAKEFEED_STATIC_ASSERT(offsetof(lakefeed_host_state, reserved) == 24, "lakefeed_host_state.reserved lies elsewhere");
#endif

#ifdef __cplusplus
}
#endif

#endif /* LAKEFEED_PLUGIN_H */
