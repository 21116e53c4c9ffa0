package report

import (
	"bytes"
	"encoding/json"
	"io"
)

// JSON writes the report as indented JSON.
func (r *Report) JSON(w io.Writer) error { return WriteJSON(w, r) }

// WriteJSON writes v as indented JSON in which the runner finds no workflow
// command: "##[", which it takes for one anywhere in a line, can only stand in
// a string and is escaped there.
func WriteJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(bytes.ReplaceAll(b.Bytes(), []byte("##["), []byte(`##\u005b`)))
	return err
}
