"""Questions with what is known of them: files of them, and where their labels come from."""
