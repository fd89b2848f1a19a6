"""What a person sees: figures, page, words, model card, dashboard."""
