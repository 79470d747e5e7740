package identity

// String is "native", "web" or "service".
func (c Class) String() string {
	switch c {
	case Native:
		return "native"
	case Web:
		return "web"
	case Service:
		return "service"
	}
	return "unknown"
}

// String is "password", "approved" or "recovery".
func (h How) String() string {
	switch h {
	case ByPassword:
		return "password"
	case Approved:
		return "approved"
	case ByRecovery:
		return "recovery"
	}
	return "unknown"
}
