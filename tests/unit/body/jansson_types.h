/*
 * jansson_types.h - jansson beside agent/body/json.h: both call their types JSON_STRING and so on.
 * Includes both; jansson's are JANSSON_STRING here, and its json_is_... macros are not usable.
 */
#ifndef TESTS_BODY_JANSSON_TYPES_H
#define TESTS_BODY_JANSSON_TYPES_H

#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY  JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_TRUE   JANSSON_TRUE
#define JSON_FALSE  JANSSON_FALSE
#define JSON_NULL   JANSSON_NULL
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#include "agent/body/json.h"

#endif
