#include "agent/http/event.h"

enum http_method http_method_of(struct span s)
{
	static const struct {
		const char *text;
		enum http_method method;
	} known[] = {
		{"GET", HTTP_GET},	 {"POST", HTTP_POST},	    {"HEAD", HTTP_HEAD_METHOD},
		{"PUT", HTTP_PUT},	 {"CONNECT", HTTP_CONNECT}, {"OPTIONS", HTTP_OPTIONS},
		{"DELETE", HTTP_DELETE}, {"PATCH", HTTP_PATCH},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (span_is(s, known[i].text))
			return known[i].method;
	}
	return HTTP_METHOD_OTHER;
}
