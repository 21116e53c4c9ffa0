package gcptest

import (
	"crypto"
	"strings"

	"github.com/go-json-experiment/json"
)

const maxData = 64 << 10

// signRequest is an AsymmetricSignRequest without its name, which is the path.
type signRequest struct {
	Digest       *digest `json:"digest"`
	DigestCRC32C *string `json:"digestCrc32c"`
	Data         *[]byte `json:"data"`
	DataCRC32C   *string `json:"dataCrc32c"`
}

// digest is a oneof.
type digest struct {
	SHA256     *[]byte `json:"sha256"`
	SHA384     *[]byte `json:"sha384"`
	SHA512     *[]byte `json:"sha512"`
	ExternalMu *[]byte `json:"externalMu"`
}

// decode reads a body strictly: one JSON object, spelled exactly, with either a
// digest or data, whose checksums fit.
func decode(body []byte) (signRequest, *apiError) {
	var in signRequest
	if err := json.Unmarshal(body, &in, json.RejectUnknownMembers(true)); err != nil {
		return in, refuse("INVALID_ARGUMENT", "Invalid JSON payload received.")
	}
	if (in.Digest == nil) == (in.Data == nil) {
		return in, refuse("INVALID_ARGUMENT", "Exactly one of digest and data is needed.")
	}
	if in.Digest == nil && in.DigestCRC32C != nil || in.Data == nil && in.DataCRC32C != nil {
		return in, refuse("INVALID_ARGUMENT", "There is a checksum of what is not there.")
	}
	if in.Data != nil {
		if len(*in.Data) > maxData {
			return in, refuse("INVALID_ARGUMENT", "The data is too long.")
		}
		return in, compare(*in.Data, in.DataCRC32C)
	}
	_, value, failure := in.Digest.one()
	if failure != nil {
		return in, failure
	}
	return in, compare(value, in.DigestCRC32C)
}

func compare(data []byte, sum *string) *apiError {
	if sum != nil && *sum != checksum(data) {
		return refuse("INVALID_ARGUMENT", "The checksum does not match.")
	}
	return nil
}

// one returns the member that is set.
func (d *digest) one() (name string, value []byte, failure *apiError) {
	n := 0
	for member, v := range map[string]*[]byte{"sha256": d.SHA256, "sha384": d.SHA384, "sha512": d.SHA512, "externalMu": d.ExternalMu} {
		if v != nil {
			n++
			name, value = member, *v
		}
	}
	if n != 1 {
		return "", nil, refuse("INVALID_ARGUMENT", "The digest needs one member.")
	}
	return name, value, nil
}

// input returns what the key signs. Each algorithm takes one form: the digest
// of its hash, an external μ of 64 bytes, or data; a key of an external manager
// takes data and has it hashed there.
func (v version) input(in signRequest) ([]byte, *apiError) {
	hash := v.options().HashFunc()
	external := strings.HasPrefix(v.protection, "EXTERNAL") && hash.Available()
	if hash == 0 || external {
		if in.Data == nil {
			return nil, refuse("INVALID_ARGUMENT", "The key %s takes data and no digest.", v.name)
		}
		if hash == 0 {
			return *in.Data, nil
		}
		h := hash.New()
		h.Write(*in.Data)
		return h.Sum(nil), nil
	}
	want, size := map[crypto.Hash]string{crypto.SHA256: "sha256", crypto.SHA384: "sha384"}[hash], 64
	if want == "" {
		want = "externalMu"
	} else {
		size = hash.Size()
	}
	if in.Digest == nil {
		return nil, refuse("INVALID_ARGUMENT", "The key %s takes a digest and no data.", v.name)
	}
	name, value, _ := in.Digest.one()
	if name != want || len(value) != size {
		return nil, refuse("INVALID_ARGUMENT", "The digest of the key %s has to be %s with %d bytes.", v.name, want, size)
	}
	return value, nil
}
