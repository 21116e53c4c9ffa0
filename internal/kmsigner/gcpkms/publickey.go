package gcpkms

import (
	"context"
	"crypto"
	"encoding/pem"
	"net/url"
	"strings"

	"filippo.io/mldsa"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// publicKey is the PublicKey of the API. Without a format a key comes in pem;
// with NIST_PQC, which post-quantum keys need, it comes in publicKey
// (https://docs.cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/getPublicKey).
type publicKey struct {
	Name       string  `json:"name"`
	Algorithm  string  `json:"algorithm"`
	Protection string  `json:"protectionLevel"`
	PEM        string  `json:"pem"`
	PEMCRC32C  *string `json:"pemCrc32c"`
	Format     string  `json:"publicKeyFormat"`
	Raw        *struct {
		Data   []byte  `json:"data"`
		CRC32C *string `json:"crc32cChecksum"`
	} `json:"publicKey"`
}

const nistPQC = "NIST_PQC"

// open fetches the public key of v and checks all of it.
func (c *client) open(ctx context.Context, v version, r retry.Policy) (*Key, error) {
	var k *Key
	err := r.Do(ctx, "reading the public key of "+v.name, func(ctx context.Context) error {
		out, err := c.fetchPublicKey(ctx, v)
		if err == nil {
			k, err = c.newKey(v, out)
		}
		return err
	})
	return k, err
}

// fetchPublicKey asks for the format that the algorithm needs. The algorithm of
// a version that the user named is not known before the first answer, which is
// an INVALID_ARGUMENT for post-quantum keys; when the second format is refused
// as well, the first answer is the one to report.
func (c *client) fetchPublicKey(ctx context.Context, v version) (publicKey, error) {
	if specs[v.algorithm].pqc {
		return c.getPublicKey(ctx, v.name, nistPQC)
	}
	out, err := c.getPublicKey(ctx, v.name, "")
	if statusOf(err) != "INVALID_ARGUMENT" && (err != nil || !specs[out.Algorithm].pqc) {
		return out, err
	}
	again, errAgain := c.getPublicKey(ctx, v.name, nistPQC)
	if err != nil && statusOf(errAgain) == "INVALID_ARGUMENT" {
		return publicKey{}, err
	}
	return again, errAgain
}

func (c *client) getPublicKey(ctx context.Context, name, format string) (publicKey, error) {
	query := url.Values{}
	if format != "" {
		query.Set("publicKeyFormat", format)
	}
	var out publicKey
	_, err := c.get(ctx, "getPublicKey", name, name+"/publicKey", query, &out)
	return out, err
}

func (c *client) newKey(v version, out publicKey) (*Key, error) {
	if out.Name != v.name || v.algorithm != "" && out.Algorithm != v.algorithm {
		return nil, otherKey(v.name, "the public key", out.Name, out.Algorithm)
	}
	s, err := specOf(v.name, out.Algorithm)
	if err != nil {
		return nil, err
	}
	public, err := out.parse(s)
	if err != nil {
		return nil, err
	}
	if signer.KeyType(public) != s.keyType {
		return nil, out.unexpected("is not of its algorithm")
	}
	return &Key{client: c, name: v.name, spec: s, public: public, protection: clean(out.Protection)}, nil
}

func (p publicKey) parse(s spec) (crypto.PublicKey, error) {
	if s.pqc {
		return p.parseMLDSA(s)
	}
	if err := verifyChecksum("the public key", p.Name, []byte(p.PEM), p.PEMCRC32C); err != nil {
		return nil, err
	}
	block, rest := pem.Decode([]byte(p.PEM))
	if block == nil || block.Type != "PUBLIC KEY" || strings.TrimSpace(string(rest)) != "" || len(block.Headers) > 0 {
		return nil, p.unexpected("is not one PUBLIC KEY block in PEM")
	}
	public, err := signer.ParsePublicKey(block.Bytes)
	if err != nil {
		return nil, p.unexpected("cannot be read")
	}
	return public, nil
}

// parseMLDSA reads the encoding of FIPS 204 algorithm 22, whose length tells
// the parameter sets apart.
func (p publicKey) parseMLDSA(s spec) (crypto.PublicKey, error) {
	if p.Format != nistPQC || p.Raw == nil {
		return nil, p.unexpected("does not come as NIST_PQC, as was asked for")
	}
	if err := verifyChecksum("the public key", p.Name, p.Raw.Data, p.Raw.CRC32C); err != nil {
		return nil, err
	}
	params := map[signer.Algorithm]mldsa.Parameters{
		signer.MLDSA44: mldsa.MLDSA44(), signer.MLDSA65: mldsa.MLDSA65(), signer.MLDSA87: mldsa.MLDSA87(),
	}[s.algorithm]
	public, err := mldsa.NewPublicKey(params, p.Raw.Data)
	if err != nil {
		return nil, p.unexpected("is not of its algorithm")
	}
	return public, nil
}

func (p publicKey) unexpected(why string) error {
	return fault.Undecidedf("kms_unexpected", "try again; if it stays, check what answers in place of Cloud KMS",
		"the public key that Cloud KMS returned for %s (%s) %s", p.Name, clean(p.Algorithm), why)
}

func otherKey(asked, what, name, algorithm string) error {
	return fault.Refusedf("key_mismatch", "nothing was signed; write the key as Cloud KMS names it, and check that no proxy or endpoint override sits before it",
		"asked Cloud KMS for %s of %s, but it answered with that of %q (%s)", what, asked, clean(name), clean(algorithm))
}
