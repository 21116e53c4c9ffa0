package signer

import "fmt"

// Kept is implemented by keys whose backend tells how the private key is kept.
type Kept interface {
	// Custody returns what the backend said when the key was opened. It is
	// the zero value when it was not asked.
	Custody() Custody
}

// Answer is yes, no or unknown. The empty answer was not asked for.
type Answer string

// The answers. A backend that does not tell, or does not know the question,
// answers unknown; that is never no.
const (
	Yes     Answer = "yes"
	No      Answer = "no"
	Unknown Answer = "unknown"
)

// Custody is how a private key is kept, in the words of PKCS#11 (version 2.40,
// section 4.9). It is the backend's word for it and proves nothing.
type Custody struct {
	Sensitive          Answer `json:"sensitive"`          // its value is never shown
	Extractable        Answer `json:"extractable"`        // it can leave, wrapped
	NeverExtractable   Answer `json:"neverExtractable"`   // it never could
	Local              Answer `json:"local"`              // it was made where it is
	AlwaysAuthenticate Answer `json:"alwaysAuthenticate"` // each signature wants the PIN
}

// String returns the answers in one line.
func (c Custody) String() string {
	return fmt.Sprintf("sensitive %s, extractable %s, never extractable %s, made there %s, PIN for each signature %s",
		c.Sensitive, c.Extractable, c.NeverExtractable, c.Local, c.AlwaysAuthenticate)
}
