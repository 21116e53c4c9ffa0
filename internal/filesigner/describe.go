package filesigner

import (
	"bytes"
	"encoding/pem"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// notAKey says what stands in a file that holds no usable private key.
func notAKey(name string, text []byte, block *pem.Block) error {
	what, next := "no PEM block", "give a PEM file with a private key"
	switch {
	case block != nil:
		what, next = describe(block)
	case bytes.Contains(text, []byte("-----BEGIN")):
		what, next = "a PEM block that is damaged", "check that the line breaks of the file were kept"
	case bytes.HasPrefix(text, []byte("LS0tLS1CRUdJTi")):
		what, next = "PEM that is encoded in base64 once more", "decode it first, with base64 -d"
	case bytes.HasPrefix(text, []byte("ssh-")), bytes.HasPrefix(text, []byte("ecdsa-sha2-")):
		what = "a public key of OpenSSH"
	case len(text) > 0 && text[0] == 0x30: // an ASN.1 SEQUENCE
		what, next = "DER or PKCS#12", "convert it with: openssl pkey -in FILE -out key.pem"
	}
	return fault.Configf("key_file_invalid", next, "%s holds %s where a private key is expected", name, what)
}

func describe(block *pem.Block) (what, next string) {
	const convert = "decrypt it with: openssl pkey -in FILE -out key.pem, and encrypt it for signgate with: cosign import-key-pair --key key.pem"
	switch t := block.Type; {
	case t == "OPENSSH PRIVATE KEY":
		return "a private key of OpenSSH", "convert a copy with: ssh-keygen -p -N '' -m PKCS8 -f COPY (not for Ed25519)"
	case t == "ENCRYPTED PRIVATE KEY":
		return "an encrypted PKCS#8 key, which is not supported", convert
	case block.Headers["DEK-Info"] != "":
		return "a key in OpenSSL's traditional encryption, which is not supported", convert
	case strings.HasSuffix(t, "CERTIFICATE"):
		return "a certificate", "give the private key that belongs to it"
	case strings.HasSuffix(t, "PUBLIC KEY"):
		return "a public key", "give the private key that belongs to it"
	case t == "EC PARAMETERS":
		return "only EC parameters", "give the whole output of: openssl ecparam -name prime256v1 -genkey"
	}
	return "a PEM block of an unknown kind", "give a PEM file with a private key"
}
