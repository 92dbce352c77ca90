"""The Gradio app, where Hugging Face Spaces look for it; `python app.py` serves it at http://127.0.0.1:7860."""

from miras.serve.gradio_app import serve_gradio

if __name__ == "__main__":
    serve_gradio()
