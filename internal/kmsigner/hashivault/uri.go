package hashivault

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// reference is a parsed key URI.
type reference struct {
	openBao   bool   // openbao://
	name      string // of the key
	mount     string // "" for that of the environment
	namespace string // "" for that of the environment
	version   int    // 0 for the latest
}

const (
	maxURI  = 1024
	maxPath = 256
)

var (
	// nameForm is framework.GenericNameRegex of Vault, with a limit.
	nameForm = regexp.MustCompile(`^\w(?:[\w.-]{0,126}\w)?$`)
	pathForm = regexp.MustCompile(`^[\w.-]+(?:/[\w.-]+)*$`)
)

// parse reads hashivault://NAME[?mount=…&namespace=…&version=…] and the same
// with openbao://.
func parse(uri string) (reference, error) {
	var ref reference
	rest, ok := strings.CutPrefix(uri, "hashivault://")
	if !ok {
		rest, ref.openBao = strings.CutPrefix(uri, "openbao://")
	}
	if !ok && !ref.openBao || len(uri) > maxURI {
		return reference{}, invalid(uri, "it does not start with hashivault:// or openbao://, or is too long")
	}
	name, query, asked := strings.Cut(rest, "?")
	if strings.Contains(name, "/") {
		return reference{}, invalid(uri, "the name of the key holds no slash; the mount is ?mount=, the server is VAULT_ADDR")
	}
	if !nameForm.MatchString(name) {
		return reference{}, invalid(uri, "what follows the two slashes is not the name of a key")
	}
	ref.name = name
	if asked {
		if err := ref.parseQuery(uri, query); err != nil {
			return reference{}, err
		}
	}
	return ref, nil
}

func (ref *reference) parseQuery(uri, query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return invalid(uri, "its query is malformed")
	}
	for name, value := range values {
		if len(value) != 1 {
			return invalid(uri, "a query parameter is given twice")
		}
		if why := ref.set(name, value[0]); why != "" {
			return invalid(uri, why)
		}
	}
	return nil
}

// set takes one query parameter, and returns what is wrong with it.
func (ref *reference) set(name, value string) (why string) {
	known := []string{"mount", "namespace", "version"}
	ok := false
	switch name {
	case "mount":
		ref.mount, ok = path(value)
	case "namespace":
		ref.namespace, ok = path(value)
	case "version":
		n, err := strconv.Atoi(value)
		ref.version, ok = n, err == nil && n > 0 && strconv.Itoa(n) == value
	}
	switch {
	case ok:
		return ""
	case slices.Contains(known, name):
		return "the value of " + name + "= is malformed"
	}
	why = "its query may hold mount=, namespace= and version= only"
	if near, edits := fault.Nearest(name, known); edits <= 2 {
		why += "; did you mean " + near + "=?"
	}
	return why
}

// path reads a mount or a namespace, with or without a slash at its ends.
func path(value string) (string, bool) {
	value = strings.TrimSuffix(strings.TrimPrefix(value, "/"), "/")
	dots := slices.ContainsFunc(strings.Split(value, "/"), func(part string) bool { return strings.Trim(part, ".") == "" })
	return value, len(value) <= maxPath && pathForm.MatchString(value) && !dots
}

func invalid(uri, why string) error {
	if len(uri) > 300 {
		uri = strings.ToValidUTF8(uri[:300], "") + "…"
	}
	return fault.Configf("kms_uri_invalid", "write hashivault://NAME or openbao://NAME, where NAME is the name of a transit key, and ?mount=, ?namespace= and ?version= as needed",
		"the key %q is not understood: %s", uri, why)
}
