/* Makes files with everything that store refuses, through HDF5's own interface. */
#include "store/foreign.h"

#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static hid_t good(hid_t id)
{
    if (id < 0) {
        H5Eprint2(H5E_DEFAULT, stderr);
        fail_msg("HDF5 failed");
    }
    return id;
}

static void fine(herr_t status)
{
    (void)good(status < 0 ? -1 : 0);
}

/* A data set of `rank` times 4, zeros, created by `plist`. */
static void put(hid_t file, const char *name, hid_t type, int rank, hid_t plist, int write)
{
    hsize_t dims[16];
    static char zeros[1 << 20];
    for (int d = 0; d < rank; d++) {
        dims[d] = rank > 8 ? 1 : 4;
    }
    hid_t space = good(H5Screate_simple(rank, dims, NULL));
    hid_t data = good(H5Dcreate2(file, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT));
    if (write) {
        fine(H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros));
    }
    fine(H5Dclose(data));
    fine(H5Sclose(space));
}

static void put_types(hid_t file)
{
    hid_t type = good(H5Tcreate(H5T_COMPOUND, 8));
    fine(H5Tinsert(type, "a", 0, H5T_STD_I32LE));
    fine(H5Tinsert(type, "b", 4, H5T_IEEE_F32LE));
    put(file, "compound", type, 1, H5P_DEFAULT, 1);
    fine(H5Tcommit2(file, "named_type", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Tclose(type));
    put(file, "u16", H5T_STD_U16LE, 1, H5P_DEFAULT, 1);
    put(file, "u32", H5T_STD_U32LE, 1, H5P_DEFAULT, 1);
    put(file, "i8", H5T_STD_I8LE, 1, H5P_DEFAULT, 1);
    put(file, "bits", H5T_STD_B8LE, 1, H5P_DEFAULT, 1);
    put(file, "reference", H5T_STD_REF_OBJ, 1, H5P_DEFAULT, 0);
    type = good(H5Tcreate(H5T_OPAQUE, 4));
    put(file, "opaque", type, 1, H5P_DEFAULT, 1);
    fine(H5Tclose(type));
    type = good(H5Tcopy(H5T_C_S1));
    fine(H5Tset_size(type, H5T_VARIABLE));
    put(file, "text", type, 1, H5P_DEFAULT, 0);
    fine(H5Tclose(type));
    type = good(H5Tvlen_create(H5T_STD_I32LE));
    put(file, "ragged", type, 1, H5P_DEFAULT, 0);
    fine(H5Tclose(type));
    /* a float that is no IEEE one: half the exponent */
    type = good(H5Tcopy(H5T_IEEE_F32LE));
    fine(H5Tset_ebias(type, 60));
    put(file, "odd_float", type, 1, H5P_DEFAULT, 0);
    fine(H5Tclose(type));
}

static void put_shapes(hid_t file)
{
    hid_t plist = good(H5Pcreate(H5P_DATASET_CREATE)), space, data;
    hsize_t huge[2] = {UINT64_C(1) << 31, 1 << 20}, chunk[2] = {1 << 20, 1 << 9};
    put(file, "rank9", H5T_IEEE_F32LE, 9, H5P_DEFAULT, 1);
    space = good(H5Screate(H5S_NULL));
    data = good(
        H5Dcreate2(file, "null", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Dclose(data));
    fine(H5Sclose(space));
    /* 2^51 bytes that nobody wrote: HDF5 would answer with zeros */
    fine(H5Pset_chunk(plist, 2, (hsize_t[]){1024, 1024}));
    space = good(H5Screate_simple(2, huge, NULL));
    data = good(H5Dcreate2(file, "bomb", H5T_STD_U8LE, space, H5P_DEFAULT, plist, H5P_DEFAULT));
    fine(H5Dclose(data));
    fine(H5Pset_deflate(plist, 9));
    data =
        good(H5Dcreate2(file, "packed_bomb", H5T_STD_U8LE, space, H5P_DEFAULT, plist, H5P_DEFAULT));
    fine(H5Dclose(data));
    fine(H5Pclose(plist));
    data = good(
        H5Dcreate2(file, "plain_bomb", H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Dclose(data));
    plist = good(H5Pcreate(H5P_DATASET_CREATE));
    fine(H5Pset_chunk(plist, 2, chunk));
    data =
        good(H5Dcreate2(file, "fat_chunk", H5T_STD_U8LE, space, H5P_DEFAULT, plist, H5P_DEFAULT));
    fine(H5Dclose(data));
    fine(H5Sclose(space));
    fine(H5Pclose(plist));
}

static void put_elsewhere(hid_t file, const char *beside)
{
    hsize_t dims[1] = {4};
    hid_t space = good(H5Screate_simple(1, dims, NULL));
    hid_t plist = good(H5Pcreate(H5P_DATASET_CREATE));
    fine(H5Pset_external(plist, beside, 0, 16));
    put(file, "outside", H5T_STD_I32LE, 1, plist, 0);
    fine(H5Pclose(plist));
    plist = good(H5Pcreate(H5P_DATASET_CREATE));
    fine(H5Pset_virtual(plist, space, beside, "/secret", space));
    put(file, "virtual", H5T_STD_I32LE, 1, plist, 0);
    fine(H5Pclose(plist));
    plist = good(H5Pcreate(H5P_DATASET_CREATE));
    fine(H5Pset_chunk(plist, 1, dims));
    fine(H5Pset_nbit(plist));
    put(file, "nbit", H5T_STD_I32LE, 1, plist, 1);
    fine(H5Pclose(plist));
    plist = good(H5Pcreate(H5P_DATASET_CREATE));
    fine(H5Pset_chunk(plist, 1, dims));
    fine(H5Pset_filter(plist, 32015, H5Z_FLAG_OPTIONAL, 0, NULL)); /* a plugin that is not there */
    put(file, "plugin", H5T_STD_I32LE, 1, plist, 0);
    fine(H5Pclose(plist));
    fine(H5Sclose(space));

    fine(H5Lcreate_soft("/good_i32", file, "soft", H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Lcreate_soft("/nothing", file, "dangling", H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Lcreate_soft("/good_group", file, "soft_group", H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Lcreate_external(beside, "/secret", file, "external", H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Lcreate_external(beside, "/", file, "external_group", H5P_DEFAULT, H5P_DEFAULT));
}

static void put_attributes(hid_t object)
{
    static const char *const texts[] = {"variable", "", "third"};
    hsize_t dims[1] = {3};
    hid_t type = good(H5Tcopy(H5T_C_S1)), scalar = good(H5Screate(H5S_SCALAR));
    hid_t three = good(H5Screate_simple(1, dims, NULL)), attribute;
    fine(H5Tset_size(type, H5T_VARIABLE));
    attribute = good(H5Acreate2(object, "variable", type, scalar, H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Awrite(attribute, type, texts));
    fine(H5Aclose(attribute));
    attribute = good(H5Acreate2(object, "variables", type, three, H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Awrite(attribute, type, texts));
    fine(H5Aclose(attribute));
    fine(H5Tclose(type)); /* a type once variable stays so */
    type = good(H5Tcopy(H5T_C_S1));
    fine(H5Tset_size(type, 8));
    fine(H5Tset_strpad(type, H5T_STR_SPACEPAD));
    attribute = good(H5Acreate2(object, "blanks", type, scalar, H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Awrite(attribute, type, "four    "));
    fine(H5Aclose(attribute));
    fine(H5Tset_strpad(type, H5T_STR_NULLPAD));
    attribute = good(H5Acreate2(object, "full", type, scalar, H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Awrite(attribute, type, "12345678"));
    fine(H5Aclose(attribute));
    const int64_t big = 258;
    attribute =
        good(H5Acreate2(object, "big_endian", H5T_STD_I64BE, scalar, H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Awrite(attribute, H5T_NATIVE_INT64, &big));
    fine(H5Aclose(attribute));
    attribute = good(H5Acreate2(object, "i32", H5T_STD_I32LE, scalar, H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Awrite(attribute, H5T_NATIVE_INT64, &big));
    fine(H5Aclose(attribute));
    fine(H5Sclose(three));
    fine(H5Sclose(scalar));
    fine(H5Tclose(type));
}

void foreign_write(const char *path, const char *beside)
{
    const float values[4] = {1, -2, 0.5f, 1e30f};
    hsize_t dims[1] = {4};
    hid_t file = good(H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    hid_t space = good(H5Screate_simple(1, dims, NULL));
    hid_t data = good(H5Dcreate2(file, "good_f32be", H5T_IEEE_F32BE, space, H5P_DEFAULT,
                                 H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Dwrite(data, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values));
    put_attributes(data);
    fine(H5Dclose(data));
    fine(H5Sclose(space));
    put(file, "good_i32", H5T_STD_I32LE, 1, H5P_DEFAULT, 1);
    hid_t plist = good(H5Pcreate(H5P_DATASET_CREATE));
    fine(H5Pset_chunk(plist, 1, dims));
    fine(H5Pset_shuffle(plist));
    fine(H5Pset_deflate(plist, 4));
    fine(H5Pset_fletcher32(plist));
    put(file, "good_packed", H5T_IEEE_F64LE, 1, plist, 1);
    fine(H5Pclose(plist));
    put_types(file);
    put_shapes(file);
    put_elsewhere(file, beside);
    hid_t group = good(H5Gcreate2(file, "good_group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    put(group, "inner", H5T_STD_I32LE, 1, H5P_DEFAULT, 1);
    hid_t circle = good(H5Gcreate2(file, "circle", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Lcreate_hard(file, "circle", circle, "again", H5P_DEFAULT, H5P_DEFAULT));
    hid_t mixed = good(H5Gcreate2(file, "mixed", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    put(mixed, "a", H5T_STD_I32LE, 1, H5P_DEFAULT, 1);
    fine(H5Lcreate_soft("/good_i32", mixed, "b", H5P_DEFAULT, H5P_DEFAULT));
    fine(H5Gclose(mixed));
    fine(H5Gclose(circle));
    fine(H5Gclose(group));
    fine(H5Fclose(file));
}

void foreign_write_victim(const char *path)
{
    hid_t file = good(H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    put(file, "secret", H5T_STD_I32LE, 1, H5P_DEFAULT, 1);
    fine(H5Fclose(file));
}
