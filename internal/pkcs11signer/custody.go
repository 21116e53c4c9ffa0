package pkcs11signer

import (
	"fmt"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

// KeyPolicy says what happens with a key that can leave its token, or whose
// module does not say whether it can.
type KeyPolicy string

// The policies. What they go by is what the module reports: a module that lies
// is believed.
const (
	Off     KeyPolicy = "off"     // the attributes are not read
	Warn    KeyPolicy = "warn"    // they are read and reported, and an extractable key draws a warning
	Require KeyPolicy = "require" // a key that is extractable, or not sensitive, is refused
)

const (
	makeAnother = "make a key that cannot leave its token, for example with signgate key generate"
	orWarn      = ", or set pkcs11-key-policy to warn"
)

// judge decides about a key by what its module says. Where Require refuses a
// fact, Warn and the empty policy return it; what the module does not say is
// undecided under Require.
func (p KeyPolicy) judge(key string, c signer.Custody) (doubt string, err error) {
	switch {
	case c.Extractable == signer.Yes:
		doubt = fmt.Sprintf("the private key %s can be taken out of its token (CKA_EXTRACTABLE is true)", key)
	case c.Sensitive == signer.No:
		doubt = fmt.Sprintf("the private key %s shows its value to whoever is logged in (CKA_SENSITIVE is false)", key)
	case p == Require && (c.Extractable != signer.No || c.Sensitive != signer.Yes):
		return "", fault.Undecidedf("pkcs11_key_unproven", "ask the vendor how the module reports this"+orWarn,
			"the module does not say whether the private key %s can leave its token (CKA_EXTRACTABLE %s, CKA_SENSITIVE %s)", key, c.Extractable, c.Sensitive)
	}
	if p == Require && doubt != "" {
		return "", fault.Refusedf("pkcs11_key_extractable", makeAnother+orWarn, "%s", doubt)
	}
	return doubt, nil
}

// check is judge for signgate doctor.
func (p KeyPolicy) check(key string, c signer.Custody) (signer.Check, error) {
	fact := c.String() + ", says the module, which is trusted in this"
	doubt, err := p.judge(key, c)
	switch {
	case err != nil:
		return signer.Check{}, err
	case doubt != "":
		return signer.Doubtful("attributes", makeAnother, "%s: %s", doubt, fact), nil
	case c.Local == signer.No || c.NeverExtractable == signer.No:
		return signer.Doubtful("attributes", "if it was imported, make sure that no copy is left", "the module does not vouch for the key having been in its token always: %s", fact), nil
	}
	return signer.Good("attributes", "%s", fact), nil
}
