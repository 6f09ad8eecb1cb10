package gateway

// Parked is how many connections wait in the lot.
func (g *Gateway) Parked() int {
	g.lot.mu.Lock()
	defer g.lot.mu.Unlock()
	return len(g.lot.parked)
}
