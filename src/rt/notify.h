/* What systemd is told of this process (sd_notify(3)): a datagram to $NOTIFY_SOCKET. Any
 * thread. */
#ifndef RT_NOTIFY_H
#define RT_NOTIFY_H

/* "READY=1\nMAINPID=42". Without the variable, or with nobody there, nothing happens. */
void notify_send(const char *text);

#endif
