package dsse

import (
	"bytes"
	"encoding/base64"
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// room is the space for what stands before a payload in the bytes that are signed.
const room = 64

// Payload is a payload with room for what is signed before it: a large one is not
// copied to be verified.
type Payload struct{ buf []byte }

// Bytes returns the payload.
func (p Payload) Bytes() []byte {
	if len(p.buf) < room {
		return nil
	}
	return p.buf[room:]
}

// toSign is ToSign of the payload, in place.
func (p Payload) toSign() []byte {
	head := header(PayloadType, len(p.Bytes()))
	if len(p.buf) < room {
		return []byte(head)
	}
	start := room - len(head) // the payload type is one, and the size has at most 19 digits
	copy(p.buf[start:], head)
	return p.buf[start:]
}

// UnmarshalJSONFrom decodes base64 as RFC 4648 section 4 has it.
func (p *Payload) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	text, err := dec.ReadValue()
	switch {
	case err != nil:
		return err
	case text.Kind() == 'n':
		return nil
	case text.Kind() != '"':
		return errors.New("the payload is no text")
	}
	raw := text[1 : len(text)-1]
	if bytes.IndexByte(raw, '\\') >= 0 { // some writers escape the slash
		if raw, err = jsontext.AppendUnquote(nil, text); err != nil {
			return err
		}
	}
	buf := make([]byte, room, room+base64.StdEncoding.DecodedLen(len(raw)))
	p.buf, err = base64.StdEncoding.Strict().AppendDecode(buf, raw)
	return err
}
