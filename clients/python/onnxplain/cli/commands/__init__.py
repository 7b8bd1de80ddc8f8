"""The commands, one module each; `views` adds one for each declared view."""
