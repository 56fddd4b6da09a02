package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwarded returns the address that r comes from, as host:port. Each proxy writes the address that it saw at the end of
// X-Forwarded-For. The entries are read from the right for as long as a proxy that the settings trust wrote them: everything before
// may be made up.
func (s *Server) forwarded(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !s.trusts(at.Addr()) {
		return r.RemoteAddr
	}
	seen := at
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		hop = strings.TrimSpace(hop)
		ip, err := netip.ParseAddr(strings.Trim(hop, "[]"))
		if err != nil {
			withPort, portErr := netip.ParseAddrPort(hop)
			if portErr != nil {
				break
			}
			ip = withPort.Addr()
		}
		seen = netip.AddrPortFrom(ip.Unmap().WithZone(""), 0)
		if !s.trusts(seen.Addr()) {
			break
		}
	}
	return seen.String()
}

func (s *Server) trusts(ip netip.Addr) bool {
	return slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(ip.Unmap().WithZone("")) })
}
