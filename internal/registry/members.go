package registry

import (
	"bytes"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// members are the members of a JSON object that is edited without knowing all
// of it.
type members map[string]jsontext.Value

func parseMembers(body []byte) (members, error) {
	var m members
	return m, json.Unmarshal(body, &m)
}

func (m members) list(name string) ([]jsontext.Value, error) {
	var list []jsontext.Value
	if m[name] == nil {
		return nil, nil
	}
	return list, json.Unmarshal(m[name], &list)
}

// setList sets a list to values that stay byte for byte.
func (m members) setList(name string, list []jsontext.Value) {
	m[name] = slices.Concat([]byte("["), bytes.Join(rawOf(list), []byte(",")), []byte("]"))
}

func rawOf(list []jsontext.Value) [][]byte {
	out := make([][]byte, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// bytes returns the object, in the order of the names and with each value byte
// for byte: an encoder would rewrite what others have written.
func (m members) bytes() []byte {
	var out bytes.Buffer
	for i, name := range slices.Sorted(maps.Keys(m)) {
		out.WriteByte("{,"[min(i, 1)])
		quoted, _ := jsontext.AppendQuote(nil, name) // the names come from JSON
		out.Write(quoted)
		out.WriteByte(':')
		out.Write(m[name])
	}
	out.WriteByte('}')
	return out.Bytes()
}

func (m members) descriptors(name string) ([]descriptor, error) {
	var list []descriptor
	if m[name] == nil {
		return nil, nil
	}
	return list, json.Unmarshal(m[name], &list)
}

func (m members) set(name string, v any) error {
	value, err := json.Marshal(v, json.Deterministic(true))
	m[name] = value
	return err
}
