"""What guild admins ask for over HTTP, and who may."""
