/* JSON in: figures by their paths. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/file.h"
#include "mbt/json.h"
#include "mbt/text.h"
#include "schema.h"

enum { FILE_BYTES_MAX = 16 << 20 };

struct mbt_json_file {
    cJSON *root;
    char name[MBT_PATH_BYTES];
};

mbt_status mbt_json_read(const char *path, mbt_json_file **file, mbt_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    mbt_error cause = {0};
    mbt_status status = mbt_file_read(path, FILE_BYTES_MAX, &text, &bytes, err);
    if (status != MBT_OK) {
        return status;
    }
    if (mbt_syntax_check(text, bytes, path, &cause) != MBT_OK) {
        status = mbt_fail(err, MBT_DATA, "%s", cause.message);
    }
    mbt_json_file *made = status == MBT_OK ? calloc(1, sizeof *made) : NULL;
    if (status == MBT_OK && made != NULL) {
        made->root = cJSON_ParseWithLength(text, bytes);
    }
    if (status == MBT_OK && (made == NULL || made->root == NULL)) {
        status = mbt_fail(err, MBT_FAILURE, "%s: no memory to read it", path);
    }
    if (status == MBT_OK) {
        status = mbt_text_format(made->name, sizeof made->name, err, "path", "%s", path);
    }
    free(text);
    if (status != MBT_OK) {
        mbt_json_close(made);
        return status;
    }
    *file = made;
    return MBT_OK;
}

void mbt_json_close(mbt_json_file *file)
{
    if (file != NULL) {
        cJSON_Delete(file->root);
        free(file);
    }
}

/* The child of that name or place; the first of several alike. */
static const cJSON *child(const cJSON *item, const char *name, size_t length)
{
    size_t place = 0;
    const cJSON *at = NULL;
    cJSON_ArrayForEach(at, item)
    {
        char number[24];
        const char *here = at->string;
        if (cJSON_IsArray(item)) {
            (void)snprintf(number, sizeof number, "%zu", place++);
            here = number;
        }
        if (strlen(here) == length && memcmp(here, name, length) == 0) {
            return at;
        }
    }
    return NULL;
}

static const cJSON *find(const mbt_json_file *file, const char *path)
{
    const cJSON *item = file->root;
    while (item != NULL && *path != '\0') {
        const size_t length = strcspn(path, ".");
        item = cJSON_IsObject(item) || cJSON_IsArray(item) ? child(item, path, length) : NULL;
        path += length + (path[length] == '.');
    }
    return item;
}

mbt_status mbt_json_get(const mbt_json_file *file, const char *path, double *value, mbt_error *err)
{
    const cJSON *item = find(file, path);
    if (!cJSON_IsNumber(item)) {
        return mbt_fail(err, MBT_DATA, "%s: %s: got %s, wanted a number", file->name, path,
                        item != NULL ? "something else" : "nothing");
    }
    *value = item->valuedouble;
    return MBT_OK;
}

mbt_status mbt_json_get_text(const mbt_json_file *file, const char *path, const char **value,
                             mbt_error *err)
{
    const cJSON *item = find(file, path);
    if (!cJSON_IsString(item)) {
        return mbt_fail(err, MBT_DATA, "%s: %s: got %s, wanted a text", file->name, path,
                        item != NULL ? "something else" : "nothing");
    }
    *value = item->valuestring;
    return MBT_OK;
}

bool mbt_json_has(const mbt_json_file *file, const char *path)
{
    return find(file, path) != NULL;
}

int mbt_json_count(const mbt_json_file *file, const char *path)
{
    const cJSON *item = find(file, path);
    return cJSON_IsObject(item) || cJSON_IsArray(item) ? cJSON_GetArraySize(item) : 0;
}

const char *mbt_json_member(const mbt_json_file *file, const char *path, int i)
{
    const cJSON *item = find(file, path);
    const cJSON *at = cJSON_IsObject(item) ? cJSON_GetArrayItem(item, i) : NULL;
    return at != NULL ? at->string : NULL;
}
