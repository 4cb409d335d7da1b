// on_demand.cc - simdjson's on-demand parser reading two fields of an event: the yardstick of event_bench.
#include <simdjson.h>

#include <cstdint>
#include <cstring>

static simdjson::ondemand::parser parser;
static size_t found;

// `at` has SIMDJSON_PADDING bytes behind `len`. Reads "model" and whether a choice has a delta or text.
extern "C" void on_demand_read(const uint8_t *at, size_t len)
{
	simdjson::ondemand::document document;
	simdjson::ondemand::array choices;
	std::string_view model;
	if (parser.iterate(reinterpret_cast<const char *>(at), len, len + simdjson::SIMDJSON_PADDING).get(document))
		return;
	if (document["model"].get_string().get(model) == simdjson::SUCCESS)
		found += model.size();
	if (document["choices"].get_array().get(choices) == simdjson::SUCCESS)
		found += !choices.is_empty().value_unsafe();
}

extern "C" size_t on_demand_padding(void)
{
	return simdjson::SIMDJSON_PADDING;
}
