package ssh

import "naru/internal/auth"

// Redeem uses a code up.
func Redeem(c *Codes, code string) (auth.UserID, bool) { return c.redeem(code) }
