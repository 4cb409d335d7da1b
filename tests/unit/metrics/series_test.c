#include "tests/unit/test.h"
#include "agent/base/limits.h"
#include "agent/metrics/series.h"

static struct call_labels labels_of(unsigned n)
{
	struct call_labels l = {.endpoint = CALL_COMPLETION, .provider = "vllm"};
	snprintf(l.model, sizeof(l.model), "model-%u", n);
	return l;
}

static struct series_point *at(struct series_set *s, const struct call_labels *l,
			       enum call_error error)
{
	return series_at(s, series_hash(7, l), l, error, 1000);
}

static void test_each_attribute_tells_series_apart(void **state)
{
	(void)state;
	struct series_set s;
	assert_int_equal(series_init(&s, 0), 0);
	struct call_labels l = labels_of(1), other;
	struct series_point *p = at(&s, &l, CALL_OK);
	assert_ptr_equal(at(&s, &l, CALL_OK), p);
	assert_ptr_not_equal(at(&s, &l, CALL_TIMEOUT), p);
	other = l, other.stream = true;
	assert_ptr_not_equal(at(&s, &other, CALL_OK), p);
	other = l, other.endpoint = CALL_RERANK;
	assert_ptr_not_equal(at(&s, &other, CALL_OK), p);
	other = l, other.provider[0] = 'w';
	assert_ptr_not_equal(at(&s, &other, CALL_OK), p);
	other = l, other.model[0] = 'n';
	assert_ptr_not_equal(at(&s, &other, CALL_OK), p);
	assert_int_equal(s.count, 6);
	assert_int_equal(p->start_ns, 1000);
	series_release(&s);
}

static void test_what_stands_behind_the_nul_plays_no_part(void **state)
{
	(void)state;
	struct series_set s;
	assert_int_equal(series_init(&s, 0), 0);
	struct call_labels clean = labels_of(1), dirty;
	memset(&dirty, 0xa5, sizeof(dirty));
	memcpy(dirty.model, clean.model, strlen(clean.model) + 1);
	memcpy(dirty.provider, clean.provider, strlen(clean.provider) + 1);
	dirty.endpoint = clean.endpoint;
	dirty.stream = clean.stream;
	assert_ptr_equal(at(&s, &dirty, CALL_OK), at(&s, &clean, CALL_OK));
	assert_int_equal(s.count, 1);
	series_release(&s);
}

/* Equal hashes are no proof: here all sets have the same one. */
static void test_colliding_sets_stay_apart(void **state)
{
	(void)state;
	struct series_set s;
	assert_int_equal(series_init(&s, 0), 0);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned n = 0; n < 100; n++) {
			struct call_labels l = labels_of(n);
			struct series_point *p = series_at(&s, 7, &l, CALL_OK, 1000);
			assert_ptr_equal(p, s.points[n]);
			assert_string_equal(p->labels.call.model, l.model);
		}
	assert_int_equal(s.count, 100);
	series_release(&s);
}

/* The boundary between model and provider counts: "ab" + "c" is not "a" + "bc". */
static void test_text_does_not_run_from_one_attribute_into_the_next(void **state)
{
	(void)state;
	struct call_labels a = {.model = "ab", .provider = "c"},
			   b = {.model = "a", .provider = "bc"};
	assert_true(series_hash(7, &a) != series_hash(7, &b));
}

static void test_the_cap_and_the_overflow_point(void **state)
{
	(void)state;
	struct series_set s;
	assert_int_equal(series_init(&s, 3), 0);
	for (unsigned n = 0; n < LIMIT_SERIES - 1; n++) {
		struct call_labels l = labels_of(n);
		at(&s, &l, CALL_OK)->value++;
	}
	assert_int_equal(s.count, LIMIT_SERIES - 1);
	struct call_labels last = labels_of(LIMIT_SERIES - 1), past = labels_of(LIMIT_SERIES);
	at(&s, &last, CALL_OK)->value++;
	assert_int_equal(s.count, LIMIT_SERIES);
	assert_false(s.overflowed);
	assert_ptr_equal(at(&s, &past, CALL_OK), s.overflow);
	assert_true(s.overflowed && s.overflow->labels.overflow);
	assert_int_equal(s.overflow->start_ns, 1000);
	assert_ptr_equal(at(&s, &past, CALL_OK), s.overflow);
	assert_int_equal(s.count, LIMIT_SERIES);
	for (unsigned n = 0; n < LIMIT_SERIES; n++) { /* those seen before go on */
		struct call_labels l = labels_of(n);
		struct series_point *p = at(&s, &l, CALL_OK);
		assert_ptr_equal(p, s.points[n]);
		assert_int_equal(p->value, 1);
		assert_string_equal(p->labels.call.model, l.model);
	}
	series_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_attribute_tells_series_apart),
		cmocka_unit_test(test_what_stands_behind_the_nul_plays_no_part),
		cmocka_unit_test(test_text_does_not_run_from_one_attribute_into_the_next),
		cmocka_unit_test(test_colliding_sets_stay_apart),
		cmocka_unit_test(test_the_cap_and_the_overflow_point),
	};
	return cmocka_run_group_tests_name("metrics/series", tests, NULL, NULL);
}
