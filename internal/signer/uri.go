package signer

import (
	"regexp"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// Backend names the kind of place a key lives in.
type Backend string

// The backends of this build's key URIs.
const (
	File       Backend = "file"
	AWSKMS     Backend = "awskms"
	GCPKMS     Backend = "gcpkms"
	AzureKMS   Backend = "azurekms"
	HashiVault Backend = "hashivault" // also openbao://
	PKCS11     Backend = "pkcs11"
)

// URI is a key URI in cosign's spelling: awskms://…, gcpkms://…, azurekms://…,
// hashivault://… (also openbao://…), pkcs11:…, env://NAME or a path to a PEM
// file.
type URI struct {
	Backend Backend
	Raw     string // as given; may hold a PIN, so print URI, never Raw
}

// String returns the URI without any PIN.
func (u URI) String() string { return pinValue.ReplaceAllString(u.Raw, "${1}REDACTED") }

var (
	pinValue = regexp.MustCompile(`(?i)([?&;]pin-(?:value|source)=)[^&;]*`)
	scheme   = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*):(//)?`)
)

// service returns the key service of a scheme, and "" for another scheme.
func service(scheme string) Backend {
	switch scheme {
	case "awskms", "gcpkms", "azurekms", "hashivault":
		return Backend(scheme)
	case "openbao":
		return HashiVault
	}
	return ""
}

const spellings = "awskms:///…, gcpkms://…, azurekms://…, hashivault://…, openbao://…, pkcs11:…, env://NAME or the path of a PEM file"

// ParseURI tells the backend of a key URI. It does not look inside; each
// backend parses its own part. An empty or unknown URI is a configuration
// fault ("key_missing", "key_uri_invalid").
func ParseURI(s string) (URI, error) {
	s = strings.TrimSpace(s)
	u := URI{Backend: File, Raw: s}
	if s == "" {
		return URI{}, fault.Configf("key_missing", "set key to "+spellings, "no key was given")
	}
	m := scheme.FindStringSubmatch(s)
	switch {
	case m == nil, len(m[1]) == 1: // a path; one letter is a drive of Windows
	case m[2] != "" && service(m[1]) != "":
		u.Backend = service(m[1])
	case strings.EqualFold(m[1], "pkcs11"):
		u.Backend = PKCS11
	case strings.HasPrefix(s, "env://"):
	default:
		return URI{}, fault.Configf("key_uri_invalid", "use "+spellings,
			"the key %q has the unknown scheme %q", u, m[1])
	}
	return u, nil
}
