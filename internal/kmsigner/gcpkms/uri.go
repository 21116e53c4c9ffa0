package gcpkms

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// reference is a parsed gcpkms URI.
type reference struct {
	key      string // projects/P/locations/L/keyRings/R/cryptoKeys/K
	version  string // "3", or "" for the newest
	metadata bool   // the metadata server may be asked for credentials
}

const (
	maxURI    = 1024
	schemeURI = "gcpkms://"
	segment   = "/cryptoKeyVersions/" // before the number of a version
)

// The forms of resource names. A project is an ID, one of a domain
// (example.com:app) or a number
// (https://docs.cloud.google.com/resource-manager/docs/creating-managing-projects);
// key rings and keys have [a-zA-Z0-9_-]{1,63} (REST reference, cryptoKeys.create).
const (
	project = `(?:(?:[a-z0-9][a-z0-9.-]{0,61}[a-z0-9]:)?[a-z][a-z0-9-]{4,28}[a-z0-9]|[1-9][0-9]{0,19})`
	keyName = `projects/` + project + `/locations/[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?/keyRings/[a-zA-Z0-9_-]{1,63}/cryptoKeys/[a-zA-Z0-9_-]{1,63}`
	number  = `[1-9][0-9]{0,9}`
)

var (
	pathForm    = regexp.MustCompile(`^(` + keyName + `)(?:/(?:cryptoKeyVersions|versions)/(` + number + `))?$`)
	versionForm = regexp.MustCompile(`^(` + keyName + `)` + segment + `(` + number + `)$`)
)

// parse reads gcpkms://KEY[/cryptoKeyVersions/N][?metadata=true].
func parse(uri string) (reference, error) {
	rest, ok := strings.CutPrefix(uri, schemeURI)
	if !ok || len(uri) > maxURI {
		return reference{}, invalid(uri, "it does not start with gcpkms:// or is too long")
	}
	path, query, asked := strings.Cut(rest, "?")
	if strings.HasPrefix(path, "/") {
		return reference{}, invalid(uri, "there are two slashes, and projects/ follows them")
	}
	m := pathForm.FindStringSubmatch(path)
	if m == nil {
		return reference{}, invalid(uri, "what follows gcpkms:// is not the resource name of a key or of a key version")
	}
	ref := reference{key: m[1], version: m[2]}
	if asked {
		return ref, ref.parseQuery(uri, query)
	}
	return ref, nil
}

func (ref *reference) parseQuery(uri, query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return invalid(uri, "its query is malformed")
	}
	for name, value := range values {
		if name != "metadata" || len(value) != 1 || value[0] != "true" && value[0] != "false" {
			return invalid(uri, "its query may hold metadata=true only")
		}
		ref.metadata = value[0] == "true"
	}
	return nil
}

// versionName returns the resource name of a version, in the API's spelling.
func (ref reference) versionName() string { return ref.key + segment + ref.version }

func invalid(uri, why string) error {
	if len(uri) > 300 {
		uri = strings.ToValidUTF8(uri[:300], "") + "…"
	}
	return fault.Configf("kms_uri_invalid", "write gcpkms://projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY/cryptoKeyVersions/1",
		"the key %q is not understood: %s", uri, why)
}
