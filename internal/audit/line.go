package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	strict "github.com/go-json-experiment/json"
)

// A line ends with `,"hash":"<64 hex>"}`.
const (
	tailStart = `,"hash":"`
	tailEnd   = `"}`
	tailSize  = len(tailStart) + 2*sha256.Size + len(tailEnd)
)

var hexHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// encode returns the line of an entry, without a newline, and its hash. The
// runner takes "##[" for a command wherever it stands, so it is escaped.
func encode(e Entry) (line []byte, hash string, err error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, "", err
	}
	body := bytes.ReplaceAll(bytes.TrimSuffix(b.Bytes(), []byte("}\n")), []byte("##["), []byte(`##\u005b`))
	hash = sum(body)
	if line = append(body, tailStart+hash+tailEnd...); len(line) > MaxLine {
		return nil, "", fmt.Errorf("the line has %d bytes, and %d is the most", len(line), MaxLine)
	}
	return line, hash, nil
}

func sum(body []byte) string {
	s := sha256.Sum256(body)
	return hex.EncodeToString(s[:])
}

// errChanged is about a line that is one in form, and not what was hashed.
var errChanged = errors.New("it does not have the hash that it states")

// decode reads a line strictly: a member twice is an error, an unknown member is
// not. With errChanged it returns what the line says, too.
func decode(line []byte) (e Entry, hash string, err error) {
	cut := len(line) - tailSize
	if len(line) > MaxLine || cut < 1 {
		return e, "", errors.New("it is no line of an audit log")
	}
	body, tail := line[:cut], line[cut:]
	hash = string(tail[len(tailStart) : tailSize-len(tailEnd)])
	if !bytes.HasPrefix(tail, []byte(tailStart)) || !bytes.HasSuffix(tail, []byte(tailEnd)) || !hexHash.MatchString(hash) {
		return e, "", errors.New("it does not end with its hash")
	}
	if err := strict.Unmarshal(line, &e); err != nil {
		return Entry{}, "", fmt.Errorf("it is not the JSON of a line: %w", err)
	}
	if e.Version != Version {
		return Entry{}, "", fmt.Errorf("it has the version %d, and this signgate reads version %d", e.Version, Version)
	}
	if e.Seq < 1 || !hexHash.MatchString(e.Prev) {
		return Entry{}, "", errors.New("its seq or its prev cannot be one")
	}
	if sum(body) != hash {
		return e, hash, errChanged
	}
	return e, hash, nil
}
