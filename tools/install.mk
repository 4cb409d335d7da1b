# make install, make uninstall: the built files and the manual, under $(DESTDIR)$(PREFIX).
# The command finds the library in ../lib of where it stands itself, and so does the shim its agent:
# the tree may be moved as a whole.
INSTALL ?= install
BINDIR   = $(DESTDIR)$(PREFIX)/bin
LIBDIR   = $(DESTDIR)$(PREFIX)/lib
MANDIR   = $(DESTDIR)$(PREFIX)/share/man
DOCDIR   = $(DESTDIR)$(PREFIX)/share/doc/inferwire

EXAMPLES = $(shell find examples -type f 2>/dev/null)

.PHONY: install uninstall
# The library is put beside its old self and renamed: a server that has the old one mapped keeps it.
install: all
	$(INSTALL) -d $(BINDIR) $(LIBDIR) $(MANDIR)/man1 $(MANDIR)/man8 $(DOCDIR)
	$(INSTALL) -m 755 $(BUILD)/inferwire $(BUILD)/inferwire-agent tools/inferwire-run $(BINDIR)
	$(INSTALL) -m 755 $(BUILD)/libinferwire.so $(LIBDIR)/libinferwire.so.new
	mv -f $(LIBDIR)/libinferwire.so.new $(LIBDIR)/libinferwire.so
	$(INSTALL) -m 644 tools/inferwire.1 tools/inferwire-run.1 $(MANDIR)/man1
	$(INSTALL) -m 644 tools/inferwire-agent.8 $(MANDIR)/man8
	for f in $(EXAMPLES); do $(INSTALL) -D -m 644 $$f $(DOCDIR)/$$f || exit 1; done

uninstall:
	rm -f $(addprefix $(BINDIR)/,inferwire inferwire-agent inferwire-run) $(LIBDIR)/libinferwire.so
	rm -f $(addprefix $(MANDIR)/,man1/inferwire.1 man1/inferwire-run.1 man8/inferwire-agent.8)
	rm -rf $(DOCDIR)
