package pkcs11signer

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
