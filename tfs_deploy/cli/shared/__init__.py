"""What commands share: options, output, progress, and text for terminals."""
