package keychain

// Canonical is the one spelling of a registry.
func Canonical(s string) string { return canonical(s) }
