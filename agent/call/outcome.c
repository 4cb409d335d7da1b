#include "agent/call/outcome.h"

enum call_error outcome_of_status(unsigned status)
{
	switch (status) {
	case 400:
	case 413:
	case 422:
		return CALL_VALIDATION_ERROR;
	case 401:
	case 403:
		return CALL_AUTHENTICATION_ERROR;
	case 404:
		return CALL_NOT_FOUND;
	case 408:
	case 504:
		return CALL_TIMEOUT;
	case 429:
		return CALL_RATE_LIMITED;
	case 503:
		return CALL_UNAVAILABLE;
	default:
		return status < 400   ? CALL_OK
		       : status < 500 ? CALL_CLIENT_ERROR
				      : CALL_PROVIDER_ERROR;
	}
}
