package pkcs11signer

import (
	"strconv"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// URI is a parsed PKCS#11 URI (RFC 7512) of a private key. An empty field was
// not given. Text is as decoded; ID holds the bytes of the key's CKA_ID.
//
// The verbs %v, %s, %q and %#v print String, which never has the PIN.
type URI struct {
	Token, Serial, Manufacturer, Model                      string
	SlotID, SlotManufacturer, SlotDescription               string
	LibraryManufacturer, LibraryDescription, LibraryVersion string
	Object, ID, Type                                        string

	ModulePath, ModuleName string
	PINSource              string // the path of a file
	PINValue               string
}

// field is one attribute of a URI.
type field struct {
	name  string
	query bool
	value *string
}

// fields returns the attributes in canonical order.
func (u *URI) fields() []field {
	return []field{
		{"token", false, &u.Token},
		{"serial", false, &u.Serial},
		{"manufacturer", false, &u.Manufacturer},
		{"model", false, &u.Model},
		{"slot-id", false, &u.SlotID},
		{"slot-manufacturer", false, &u.SlotManufacturer},
		{"slot-description", false, &u.SlotDescription},
		{"library-manufacturer", false, &u.LibraryManufacturer},
		{"library-description", false, &u.LibraryDescription},
		{"library-version", false, &u.LibraryVersion},
		{"id", false, &u.ID},
		{"object", false, &u.Object},
		{"type", false, &u.Type},
		{"module-path", true, &u.ModulePath},
		{"module-name", true, &u.ModuleName},
		{"pin-source", true, &u.PINSource},
		{"pin-value", true, &u.PINValue},
	}
}

// ParseURI parses a PKCS#11 URI strictly: unknown, repeated and empty
// attributes, characters that have to be percent-encoded, a pin-source that is
// not a file, pin-source together with pin-value, and a type other than private
// are configuration faults ("pkcs11_uri_invalid"). A plus sign is a plus sign.
// The fault never holds the value of a PIN attribute, nor text that could be a
// part of one.
func ParseURI(s string) (URI, error) {
	const scheme = "pkcs11:"
	s = strings.TrimSpace(s)
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return URI{}, invalid("write it as pkcs11:token=…;object=…", "the key URI does not begin with pkcs11:")
	}
	path, query, _ := strings.Cut(s[len(scheme):], "?")
	var u URI
	if err := u.parse(path, ";", false); err != nil {
		return URI{}, err
	}
	if err := u.parse(query, "&", true); err != nil {
		return URI{}, err
	}
	if err := u.check(); err != nil {
		return URI{}, err
	}
	return u, nil
}

// String returns the canonical form of the URI without pin-source and
// pin-value. It parses back to the same URI but for these.
func (u URI) String() string {
	var path, query []string
	for _, f := range u.fields() {
		switch {
		case *f.value == "" || strings.HasPrefix(f.name, "pin-"):
		case f.query:
			query = append(query, f.name+"="+escape(*f.value, "/"))
		case f.name == "id":
			path = append(path, "id="+escapeAll(*f.value))
		default:
			path = append(path, f.name+"="+escape(*f.value, ""))
		}
	}
	s := "pkcs11:" + strings.Join(path, ";")
	if len(query) > 0 {
		s += "?" + strings.Join(query, "&")
	}
	return s
}

// GoString returns String, so that %#v shows no PIN either.
func (u URI) GoString() string { return u.String() }

// check applies the rules for values and between attributes.
func (u *URI) check() error {
	if u.Type != "" && u.Type != "private" {
		return invalid("write type=private or leave type out", "the key URI has the type %q, but signing needs a private key", u.Type)
	}
	if u.PINSource != "" && u.PINValue != "" {
		return invalid("keep pin-source", "the key URI has both pin-source and pin-value")
	}
	if err := u.checkSlotID(); err != nil {
		return err
	}
	if err := u.checkLibraryVersion(); err != nil {
		return err
	}
	return u.checkPINSource()
}

func (u *URI) checkSlotID() error {
	if u.SlotID == "" {
		return nil
	}
	n, err := strconv.ParseUint(u.SlotID, 10, 64)
	if err != nil {
		return invalid("write it in decimal, or name the token with token= or serial=, which do not change",
			"slot-id=%s of the key URI is not a decimal number", escape(u.SlotID, ""))
	}
	u.SlotID = strconv.FormatUint(n, 10)
	return nil
}

// checkLibraryVersion brings the version to the form major.minor; a missing
// minor part is 0 (RFC 7512 section 2.3).
func (u *URI) checkLibraryVersion() error {
	if u.LibraryVersion == "" {
		return nil
	}
	major, minor, found := strings.Cut(u.LibraryVersion, ".")
	if !found {
		minor = "0"
	}
	a, errA := strconv.ParseUint(major, 10, 8)
	b, errB := strconv.ParseUint(minor, 10, 8)
	if errA != nil || errB != nil {
		return invalid("write it as major.minor, for example 2.6", "library-version=%s of the key URI is not a version", escape(u.LibraryVersion, ""))
	}
	u.LibraryVersion = version(byte(a), byte(b))
	return nil
}

func version(major, minor byte) string {
	return strconv.Itoa(int(major)) + "." + strconv.Itoa(int(minor))
}

// checkPINSource leaves the path of a file. What it refuses it does not print:
// people write the PIN itself here.
func (u *URI) checkPINSource() error {
	const next = "write pin-source=file:/path/to/file, or use the pkcs11-pin-file input"
	if strings.HasPrefix(u.PINSource, "|") {
		return invalid(next, "the key URI asks for a command as pin-source, which signgate never runs")
	}
	path := u.PINSource
	if rest, ok := strings.CutPrefix(path, "file:"); ok {
		path = strings.TrimPrefix(strings.TrimPrefix(rest, "//localhost/"), "//")
		if strings.HasPrefix(rest, "//localhost/") {
			path = "/" + path
		}
	}
	if path != "" && !strings.HasPrefix(path, "/") || u.PINSource != "" && path == "" {
		return invalid(next, "pin-source of the key URI is neither file: nor an absolute path")
	}
	u.PINSource = path
	return nil
}

func invalid(next, format string, args ...any) error {
	return fault.Configf("pkcs11_uri_invalid", next, format, args...)
}
