/* verify_client.h - one call, made and timed from the client's side. */
#ifndef TOOLS_VERIFY_CLIENT_H
#define TOOLS_VERIFY_CLIENT_H

struct verify_answer {
	int status;
	double first_token_s; /* from the request's last byte until the first token was read; 0: none */
	double whole_s;	      /* until the end of the answer */
	char text[8192];      /* head and body, NUL-terminated */
};

/* POSTs the body to 127.0.0.1:port and reads until the server closes. 0 or a negative errno; at most
 * a few seconds. */
int verify_call(int port, const char *body, struct verify_answer *a);

#endif
