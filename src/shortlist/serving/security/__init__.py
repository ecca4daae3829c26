"""Who may ask and how much, and the certificate that the server shows."""
