package pkcs11signer

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// parse fills the attributes of one part of the URI: the path or the query.
func (u *URI) parse(part, separator string, query bool) error {
	if part == "" {
		return nil
	}
	for _, text := range strings.Split(part, separator) {
		name, raw, found := strings.Cut(text, "=")
		f, err := u.lookup(name, found, query)
		if err != nil {
			return err
		}
		value, err := decode(f, raw)
		if err != nil {
			return err
		}
		if *f.value != "" {
			return invalid("give it once", "the key URI has the attribute %s twice", f.name)
		}
		*f.value = value
	}
	return nil
}

var plainName = regexp.MustCompile(`^[a-z][a-z-]{0,30}$`)

// lookup finds the attribute called name. A name that is unknown is printed
// only where it cannot be a piece of a PIN with an unescaped separator: outside
// the query, or when it resembles an attribute.
func (u *URI) lookup(name string, found, query bool) (field, error) {
	var known []string
	for _, f := range u.fields() {
		if f.name == name && found {
			return f, misplaced(f, query)
		}
		known = append(known, f.name)
	}
	near, edits := fault.Nearest(name, known)
	if 3*edits > len(name) {
		near = ""
	}
	if meant := aliases[name]; meant != "" {
		near = meant
	}
	switch {
	case found && near != "":
		return field{}, invalid(fmt.Sprintf("use %s=", near), "the key URI has the unknown attribute %q", name)
	case found && !query && plainName.MatchString(name):
		return field{}, invalid(u.names(query), "the key URI has the unknown attribute %q", name)
	}
	return field{}, invalid(u.names(query)+`; a ";" or "&" inside a value is written %3B or %26`,
		"the %s of the key URI has a part that is not name=value with a known name", partName(query))
}

// aliases are names that people write for an attribute.
var aliases = map[string]string{
	"label": "object", "name": "object", "key": "object", "keyid": "id", "key-id": "id",
	"pin": "pin-value", "slot": "slot-id", "module": "module-path", "lib": "module-path",
}

func misplaced(f field, query bool) error {
	if f.query == query {
		return nil
	}
	where := `before the "?", separated by ";"`
	if f.query {
		where = `after the "?", separated by "&"`
	}
	return invalid("move it "+where, "the attribute %s stands in the %s of the key URI", f.name, partName(query))
}

func partName(query bool) string {
	if query {
		return "query"
	}
	return "path"
}

func (u *URI) names(query bool) string {
	var names []string
	for _, f := range u.fields() {
		if f.query == query {
			names = append(names, f.name)
		}
	}
	return "the attributes of the " + partName(query) + " are " + strings.Join(names, ", ")
}

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// decode resolves percent-encoding (RFC 7512 section 2.3: pk11-pchar, and
// pk11-qchar in the query). Nothing of a PIN attribute goes into the error.
func decode(f field, raw string) (string, error) {
	allowed := unreserved + ":[]@!$'()*+,=&"
	if f.query {
		allowed = unreserved + ":[]@!$'()*+,=/?|"
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '%':
			v, ok := unhex(raw[i+1:])
			if !ok {
				return "", invalid("write %25 for a percent sign", "the attribute %s of the key URI has a %% without two hexadecimal digits", f.name)
			}
			b.WriteByte(v)
			i += 2
		case strings.IndexByte(allowed, c) < 0:
			return "", unescaped(f, c)
		default:
			b.WriteByte(c)
		}
	}
	if b.Len() == 0 {
		return "", invalid("leave it out or give it a value", "the attribute %s of the key URI is empty", f.name)
	}
	return b.String(), nil
}

func unescaped(f field, c byte) error {
	if strings.HasPrefix(f.name, "pin-") {
		return invalid("percent-encode everything but letters and digits in it", "the attribute %s of the key URI has a character that is not percent-encoded", f.name)
	}
	return invalid(fmt.Sprintf("write it as %%%02X", c), "the attribute %s of the key URI has the character %q, which is not percent-encoded", f.name, c)
}

func unhex(s string) (byte, bool) {
	const digits = "0123456789abcdef"
	if len(s) < 2 {
		return 0, false
	}
	pair := strings.ToLower(s[:2])
	hi, lo := strings.IndexByte(digits, pair[0]), strings.IndexByte(digits, pair[1])
	return byte(hi<<4 | lo), hi >= 0 && lo >= 0
}

// escape percent-encodes everything but unreserved characters and those of
// keep.
func escape(s, keep string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(unreserved+keep, s[i]) >= 0 {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

func escapeAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}
